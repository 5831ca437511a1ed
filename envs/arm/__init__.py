"""Our own robot: a 7-joint arm beside a table, its tasks, their experts, and how it explores."""
