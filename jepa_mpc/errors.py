"""What a user does wrong, told apart from a fault of ours."""

import dis

_RAISE = dis.opmap["RAISE_VARARGS"]
_OURS = ("agent", "configs", "envs", "jepa_mpc", "planners", "world_model")


class UserError(ValueError):
    """What came from outside cannot be used; the message is one sentence: what was wrong, and what would be right."""


class ForeignFault(RuntimeError):  # noqa: N818 - it is whose it is that matters
    """Somebody else's code, as that of a robot's environment, failed; the message says whose, and what it said."""


def is_refusal(error: BaseException) -> bool:
    """Returns whether our own code said with a `raise` that it does not take what it was given.

    A constructor refuses numbers out of their range with a plain `ValueError`. Numpy, torch, or an `int("x")` of ours
    raise the same class where we are wrong: that is no refusal. To be asked where something is built from what a user
    gave, and nowhere else.
    """
    if isinstance(error, UserError):
        return True
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return False
    code, package = trace.tb_frame.f_code, str(trace.tb_frame.f_globals.get("__name__")).partition(".")[0]
    return package in _OURS and code.co_code[trace.tb_lasti] == _RAISE
