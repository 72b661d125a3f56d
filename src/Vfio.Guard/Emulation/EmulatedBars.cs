using Vfio.Guard.Bars;
using Vfio.Native;
using Vfio.Pci;

namespace Vfio.Guard.Emulation;

/// <summary>The BARs and the ROM of an emulated function: their registers in config space, their content, and the MSI-X
/// table and pending bits that lie over it.</summary>
internal sealed class EmulatedBars(FunctionDescription description, EmulatedConfig config, EmulatedInterrupts interrupts) : IDisposable
{
    private const int RomNumber = 6;
    private readonly BarContent?[] _contents = new BarContent?[7];
    private readonly BarType[] _types = new BarType[7];
    private readonly bool[] _taken = new bool[7];
    private readonly List<Doorbell>[] _doorbells = [[], [], [], [], [], []];

    private MsixRanges _ranges;

    internal void Add(int number, BarContent content, BarType type)
    {
        ArgumentNullException.ThrowIfNull(content);
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)number, 5u, nameof(number));
        BarContent.CheckLength(content.Length);
        bool isWide = type is BarType.Memory64 or BarType.PrefetchableMemory64;
        if (_taken[number] || (isWide && (number == 5 || _taken[number + 1])))
            throw new ArgumentException($"{description.Name}: BAR{number} is taken, or has no room for 64 bits", nameof(number));
        if (content.Length < (type == BarType.Io ? 4u : 16u) || (!isWide && content.Length > 1UL << 31))
            throw new ArgumentException($"{description.Name}: BAR{number} of 0x{content.Length:x} bytes cannot be {type}", nameof(content));
        _contents[number] = content;
        _types[number] = type;
        _taken[number] = true;
        uint kind = type switch { BarType.Io => 1, BarType.Memory64 => 4, BarType.PrefetchableMemory64 => 0xc, _ => 0 };
        ulong mask = ~(content.Length - 1);
        config.Define(0x10 + 4 * number, 4, kind, writable: (uint)mask & ~(type == BarType.Io ? 3u : 0xfu));
        if (!isWide)
            return;
        _taken[number + 1] = true;
        config.Define(0x14 + 4 * number, 4, 0, writable: (uint)(mask >> 32));
    }

    internal void AddDoorbell(int number, in Doorbell bell)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)number, 5u, nameof(number));
        bool isRegister = bell.Width is 1 or 2 or 4 or 8 && bell.Offset % (ulong)bell.Width == 0
            && bell.Offset < (_contents[number]?.Length ?? 0);
        if (!isRegister || _types[number] == BarType.Io)
            throw new ArgumentException($"{description.Name}: no doorbell can have {bell.Width} bytes at 0x{bell.Offset:x} of BAR{number}");
        if (bell.Width < 8 && bell.Match >> (8 * bell.Width) > 0)
            throw new ArgumentException($"{description.Name}: a write of {bell.Width} bytes cannot have the value 0x{bell.Match:x}");
        _doorbells[number].Add(bell);
    }

    internal IReadOnlyList<Doorbell> GetDoorbells(RegionIndex region) => region.IsBar ? _doorbells[region.Value] : [];

    internal void AddRom(BarContent content)
    {
        ArgumentNullException.ThrowIfNull(content);
        BarContent.CheckLength(content.Length);
        if (_taken[RomNumber] || content.Length is < 0x800 or > 1 << 24)
            throw new ArgumentException($"{description.Name}: a ROM of 0x{content.Length:x} bytes is not possible, or is a second one", nameof(content));
        _contents[RomNumber] = content;
        _taken[RomNumber] = true;
        config.Define(0x30, 4, 0, writable: (uint)~(content.Length - 1) | 1);
    }

    /// <summary>Does what firmware does: gives every BAR an address, enables decoding, and gives the pin a line.</summary>
    internal void AssignAddresses()
    {
        if (interrupts.Table is { } table)
            AddTableBars(table.Description);
        _ranges = new MsixRanges(interrupts.Table?.Description);
        ulong low = 0xc000_0000;
        ulong high = 0x38_0000_0000;
        ulong ports = 0xc000;
        for (int i = 0; i < _contents.Length; i++)
        {
            if (_contents[i] is not { } content)
                continue;
            if (i == RomNumber)
                config.Write(0x30, 4, (uint)Take(ref low, content.Length));
            else if (_types[i] == BarType.Io)
                config.Write(0x10 + 4 * i, 4, (uint)Take(ref ports, content.Length));
            else if (_types[i] == BarType.Memory32)
                config.Write(0x10 + 4 * i, 4, (uint)Take(ref low, content.Length));
            else
                WriteWide(i, Take(ref high, content.Length));
        }

        if (low > 1UL << 32 || ports > 1 << 16)
            throw new ArgumentException($"{description.Name}: its BARs do not fit their address space");
        config.Write(0x04, 2, 0x0003);
        config.Write(0x3c, 1, description.InterruptPin == 0 ? 0xffu : 0x0b);
    }

    internal ulong GetLength(RegionIndex region) => region.Value <= RomNumber ? _contents[region.Value]?.Length ?? 0 : 0;

    internal SharedMemory? GetMemory(RegionIndex region) => region.Value <= RomNumber ? _contents[region.Value]?.Shown : null;

    internal bool TryTakeMemory(RegionIndex region, SharedMemory memory) =>
        region.Value <= RomNumber && _contents[region.Value] is { } content && content.TryTakeMemory(memory);

    internal void RenewMemory(bool wasShown)
    {
        foreach (BarContent? content in _contents)
            content?.Renew(wasShown);
    }

    internal void Read(RegionIndex region, ulong offset, Span<byte> destination)
    {
        BarContent content = Find(region);
        if (!_ranges.Meet(region, offset, destination.Length) || interrupts.Table is not { } table)
        {
            content.Read(offset, destination);
            return;
        }

        while (destination.Length > 0)
        {
            MsixPart part = MsixPart.At(table.Description, region, offset, destination.Length);
            Span<byte> piece = destination[..part.Count];
            if (part.Kind == MsixPartKind.Table)
                table.Read((int)part.Offset, piece);
            else if (part.Kind == MsixPartKind.Pending)
                table.ReadPending((int)part.Offset, piece);
            else
                content.Read(offset, piece);
            destination = destination[part.Count..];
            offset += (ulong)part.Count;
        }
    }

    internal void Write(RegionIndex region, ulong offset, ReadOnlySpan<byte> source)
    {
        BarContent content = Find(region);
        if (region.Value == RomNumber)
            return;
        if (!_ranges.Meet(region, offset, source.Length) || interrupts.Table is not { } table)
        {
            content.Write(offset, source);
            return;
        }

        while (source.Length > 0)
        {
            MsixPart part = MsixPart.At(table.Description, region, offset, source.Length);
            if (part.Kind == MsixPartKind.Other)
                content.Write(offset, source[..part.Count]);
            if (part.Kind == MsixPartKind.Table)
            {
                table.Write((int)part.Offset, source[..part.Count]);
                interrupts.Recheck();
            }

            source = source[part.Count..];
            offset += (ulong)part.Count;
        }
    }

    internal void Reset()
    {
        foreach (BarContent? content in _contents)
            content?.Reset();
    }

    internal void Save(StateWriter state)
    {
        foreach (BarContent? content in _contents)
            content?.Save(state);
    }

    internal bool TryRestore(ref StateReader state)
    {
        foreach (BarContent? content in _contents)
        {
            if (content is not null && !content.TryRestore(ref state))
                return false;
        }

        return true;
    }

    public void Dispose()
    {
        foreach (BarContent? content in _contents)
            (content as IDisposable)?.Dispose();
    }

    private static ulong Take(ref ulong next, ulong length)
    {
        ulong address = (next + length - 1) & ~(length - 1);
        next = address + length;
        return address;
    }

    private void WriteWide(int number, ulong address)
    {
        config.Write(0x10 + 4 * number, 4, (uint)address);
        config.Write(0x14 + 4 * number, 4, (uint)(address >> 32));
    }

    private void AddTableBars(MsixDescription msix)
    {
        ulong end = msix.TableOffset + msix.TableLength;
        ulong pendingEnd = msix.PendingOffset + msix.PendingLength;
        if (!_taken[msix.Bar])
            Add(msix.Bar, new EmptyBar(msix.Bar == msix.PendingBar ? Math.Max(end, pendingEnd) : end), BarType.Memory32);
        if (!_taken[msix.PendingBar])
            Add(msix.PendingBar, new EmptyBar(pendingEnd), BarType.Memory32);
        bool overlap = msix.Bar == msix.PendingBar && msix.TableOffset < pendingEnd && msix.PendingOffset < end;
        if (overlap || GetLength(RegionIndex.Bar(msix.Bar)) < end || GetLength(RegionIndex.Bar(msix.PendingBar)) < pendingEnd)
            throw new ArgumentException($"{description.Name}: the MSI-X table or pending bits do not fit their BAR, or overlap");
    }

    private BarContent Find(RegionIndex region) =>
        region.Value <= RomNumber && _contents[region.Value] is { } content
            ? content
            : throw new ArgumentOutOfRangeException(nameof(region), region, $"{description.Name} has no such region");

    /// <summary>A BAR that holds only an MSI-X table or pending bits.</summary>
    private sealed class EmptyBar(ulong atLeast) : BarContent
    {
        public override ulong Length { get; } = Math.Max(0x1000, System.Numerics.BitOperations.RoundUpToPowerOf2(atLeast));

        public override void Read(ulong offset, Span<byte> destination) => destination.Clear();

        public override void Write(ulong offset, ReadOnlySpan<byte> source)
        {
        }
    }
}
