import torch

from world_model.encoders.images import channels_first


def test_images_stay_where_they_are_in_memory_and_convolutions_call_it_channels_last():
    images = torch.rand(2, 8, 6, 3)
    turned = channels_first(images)
    assert turned.data_ptr() == images.data_ptr()
    assert turned.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(turned[1, 2], images[1, :, :, 2])
