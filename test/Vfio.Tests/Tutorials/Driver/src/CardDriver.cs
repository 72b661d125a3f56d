// src/CardDriver.cs
using Vfio;
using static Fpga.CardRegisters;

namespace Fpga;

/// <summary>Drives the card. Owns it; one thread at a time.</summary>
public sealed class CardDriver : IDisposable
{
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(5);

    private readonly PciDevice _card;
    private readonly Bar _registers;
    private readonly DmaBuffer _source;
    private readonly DmaBuffer _destination;
    private readonly Interrupt _done;

    /// <summary>Takes the card over, and makes it ready.</summary>
    public CardDriver(IVfioDevice device)
    {
        _card = new PciDevice(device);
        try
        {
            if ((_card.VendorId, _card.DeviceId) != (VendorId, DeviceId))
                throw new NotSupportedException($"{Name} is {_card.VendorId:x4}:{_card.DeviceId:x4}, not {VendorId:x4}:{DeviceId:x4}");
            _registers = _card.OpenBar(0);
            uint id = _registers.Read32(Id);
            if (id != IdValue)
                throw new NotSupportedException($"{Name} has ID 0x{id:x8}: another bitstream is loaded");
            Version = _registers.Read<CardVersion>(CardRegisters.Version);

            _source = _card.AllocateDma(MaxTransferBytes, DmaAccess.Read);  // the card may read it, and not write it
            _destination = _card.AllocateDma(MaxTransferBytes, DmaAccess.Write);
            _done = _card.Interrupts.Enable(1)[0];                          // the first that the card has of MSI-X, MSI and INTx
            _card.EnableBusMaster();                                        // from here on it can use the memory
        }
        catch
        {
            _card.Dispose();
            throw;
        }
    }

    /// <summary>The card's address, for messages.</summary>
    public string Name => _card.Name;

    /// <summary>The version of its bitstream.</summary>
    public CardVersion Version { get; }

    /// <summary>Completes when the card is removed, or when its release is requested: dispose this driver then.</summary>
    public Task<RemovalReason> Removed => _card.Removed;

    /// <summary>Writes SCRATCH and reads it back: whether the card answers.</summary>
    public bool TestScratch(uint value)
    {
        _registers.Write32(Scratch, value);
        return _registers.Read32(Scratch) == value;
    }

    /// <summary>Sends data through the card's logic, which inverts every bit.</summary>
    /// <param name="source">At most 64 KiB.</param>
    /// <param name="destination">As long as the source.</param>
    /// <exception cref="IOException">The card reports an error, or does not answer.</exception>
    public void Process(ReadOnlySpan<byte> source, Span<byte> destination)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(source.Length, MaxTransferBytes);
        ArgumentOutOfRangeException.ThrowIfNotEqual(destination.Length, source.Length);
        _source.Write(0, source);
        _registers.Write64(Source, _source.Start.Value);
        _registers.Write64(Destination, _destination.Start.Value);
        _registers.Write32(Length, (uint)source.Length);
        _registers.Write(Control, CardControl.Start | CardControl.InterruptEnable);
        CardStatus status = WaitForDone();
        if (status.HasFlag(CardStatus.Error))
            throw new IOException($"{Name}: a transfer of {source.Length} bytes failed, STATUS is {status}");
        _destination.Read(0, destination);
    }

    /// <summary>Resets the card, and frees its memory and interrupts.</summary>
    public void Dispose() => _card.Dispose();

    private CardStatus WaitForDone()
    {
        bool isDone = _done.Wait(Timeout);
        CardStatus status = _registers.Read<CardStatus>(Status);
        if (!isDone)
            throw new IOException($"{Name}: no {_done.Kind} interrupt within {Timeout.TotalSeconds} s, STATUS is {status}");
        _registers.Write(Status, status); // clears what was read
        _done.Rearm();                    // after that: INTx would fire again
        return status;
    }
}
