namespace Vfio.Tests.Native;

/// <summary>What an error says: what was being done, why it failed, what to do, and the errno last.</summary>
public sealed class VfioExceptionTests
{
    [Theory]
    [InlineData("open", "/dev/vfio/12", 13, "run as root", "opening /dev/vfio/12: Permission denied; run as root (errno 13)")]
    [InlineData("connect", "/run/x.sock", 111, null, "connecting to /run/x.sock: Connection refused (errno 111)")]
    [InlineData("VFIO_DEVICE_RESET", "0000:01:00.0", 25, null, "resetting 0000:01:00.0: Inappropriate ioctl for device (VFIO_DEVICE_RESET, errno 25)")]
    [InlineData("DMA_MAP", "/run/x.sock", 22, "4096 bytes at 0x1000", "mapping memory for /run/x.sock: Invalid argument; 4096 bytes at 0x1000 (DMA_MAP, errno 22)")]
    [InlineData("read of BAR0 at 0x10", "edu", 5, null, "read of BAR0 at 0x10 on edu: Input/output error (errno 5)")]
    public void It_begins_with_what_was_done_and_ends_with_the_errno(string operation, string target, int errno, string? hint, string message)
    {
        VfioException error = new(operation, target, (Errno)errno, hint);
        Assert.Equal(message, error.Message);
        Assert.Equal((operation, target, (Errno)errno), (error.Operation, error.Target, error.Errno));
    }

    [Fact]
    public void Foreign_text_in_it_is_printable_and_does_not_push_the_errno_out()
    {
        VfioException error = new("open", "a\nb\e[31m" + new string('x', 10_000), Errno.InvalidArgument, "\u202e{0}" + new string('y', 10_000));
        Assert.StartsWith("opening a\\nb\\x1b[31mxxx", error.Message);
        Assert.Contains("; \\u202e{0}yyy", error.Message);
        Assert.EndsWith("… (errno 22)", error.Message);
        Assert.InRange(error.Message.Length, 0, 3000);
    }

    [Theory]
    [InlineData("{0}")]
    [InlineData("{1}{{")]
    public void A_target_is_no_format(string target) => Assert.StartsWith($"opening {target}: ", new VfioException("open", target, Errno.NoEntry).Message);
}
