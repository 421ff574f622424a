"""The device that only remembers."""

from runtime.device import Device, Status, pointers
from runtime.devices.null import Launch, NullDevice


def test_launches_are_recorded_as_they_were() -> None:
    null = NullDevice()
    device: Device = null
    first, second = device.load("first"), device.load("second")
    args = pointers(2)
    args[0] = 4096
    assert first(args, 1) == 0
    args[0], args[1] = 8192, 64
    assert second(args, 2) == 0
    assert null.launches == [Launch("first", (4096, None), 1), Launch("second", (8192, 64), 2)]
    assert first.status == Status(0, 0, 0, 0)


def test_memory_is_zero() -> None:
    assert not NullDevice().alloc(100).any()
