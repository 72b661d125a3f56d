namespace Vfio.Tests.Guests;

/// <summary>Drives edu from inside the guest, by the numbers of QEMU's <c>docs/specs/edu.rst</c>. Closes the device when disposed.</summary>
internal sealed class EduInGuest : IDisposable
{
    private const uint BufferAddress = 0x40000;
    private readonly GuestAgent _agent;
    private readonly string _function;

    /// <summary>Takes a function that the agent has opened.</summary>
    public EduInGuest(GuestAgent agent, string function)
    {
        _agent = agent;
        _function = function;
        Enable();
    }

    /// <summary>Turns memory decoding and bus mastering on: at the start, and after a reset.</summary>
    public void Enable() => _agent.Do("config 0x04 2 0x0006");

    public ulong Read(uint offset, int bytes = 4) => _agent.Number($"read {_function} 0 {offset} {bytes}");

    public void Write(uint offset, ulong value, int bytes = 4) => _agent.Do($"write {_function} 0 {offset} {bytes} {value}");

    /// <summary>Asks for a factorial, and waits for it.</summary>
    public ulong Factorial(uint number)
    {
        Write(0x08, number);
        WaitWhile(0x20, 0x01);
        return Read(0x08);
    }

    /// <summary>Lets the device copy between guest memory and its buffer, and waits until it has.</summary>
    public void Move(ulong source, ulong destination, int count, bool toMemory)
    {
        Write(0x80, source, 8);
        Write(0x88, destination, 8);
        Write(0x90, (ulong)count, 8);
        Write(0x98, toMemory ? 0x3u : 0x1u, 8);
        WaitWhile(0x98, 0x01);
    }

    /// <summary>Sends bytes from guest memory through the device's buffer and back, and asserts that they arrive.</summary>
    public void AssertMovesBytesBothWays()
    {
        ulong page = _agent.Number("page");
        byte[] bytes = new byte[256];
        Random.Shared.NextBytes(bytes);
        _agent.Do($"put 0 {Convert.ToHexString(bytes)}");
        Move(page, BufferAddress, bytes.Length, toMemory: false);
        Move(BufferAddress, page + 0x800, bytes.Length, toMemory: true);
        Assert.Equal(Convert.ToHexString(bytes), _agent.Do($"get 0x800 {bytes.Length}").ToUpperInvariant());
        Assert.Equal("0000", _agent.Do($"get {0x800 + bytes.Length} 2"));
    }

    /// <summary>Lets the device interrupt, waits for it in the guest, and acknowledges.</summary>
    /// <param name="index">VFIO's number of the kind: 0 for the pin, 1 for MSI.</param>
    public void AssertInterrupts(int index)
    {
        _agent.Do($"arm {index} 1");
        for (uint cause = 1; cause <= 4; cause <<= 1)
        {
            Write(0x60, cause);
            Assert.Equal(1ul, _agent.Number("wait 0 60000"));
            Assert.Equal(cause, Read(0x24));
            Write(0x64, cause);
            Assert.Equal(0ul, Read(0x24));
            if (index == 0)
                _agent.Do("unmask");
        }

        _agent.Do($"arm {index} 0");
    }

    /// <summary>Asserts all that the device can do.</summary>
    public void AssertWorks()
    {
        Assert.Equal(0x010000edul, Read(0x00));
        Assert.Equal(120ul, Factorial(5));
        AssertMovesBytesBothWays();
        AssertInterrupts(1);
    }

    public void Dispose() => _agent.Do("close");

    private void WaitWhile(uint offset, ulong bit) =>
        Assert.True(SpinWait.SpinUntil(() => (Read(offset) & bit) == 0, TimeSpan.FromMinutes(1)), $"bit 0x{bit:x} of 0x{offset:x} stays");
}
