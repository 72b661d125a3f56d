using Vfio.Pci;

namespace Vfio.Tests.Guard;

/// <summary>What a user's config space must do, said a second time and bit by bit: what the hardware may become, and what is
/// read. Which bits are whose comes from <see cref="ConfigFacts"/>, never from the library's tables.</summary>
internal sealed class ConfigModel
{
    private readonly UserBit[] _bits;
    private readonly byte[] _hardware;
    private readonly byte[] _shadow;
    private readonly byte[] _assigned;
    private readonly byte[] _firstShadow;
    private readonly ulong[] _lengths;
    private readonly ConfigSpace _space;
    private readonly Dictionary<int, FactPlace> _whole = [];
    private readonly List<(int Offset, uint Value)> _firstCopies = [];

    public ConfigModel(ConfigSpace space, ulong[] lengths)
    {
        _space = space;
        _lengths = lengths;
        _bits = new UserBit[8 * space.Length];
        int[] owners = new int[space.Length];
        Array.Fill(owners, -1);
        Lay(owners, new FactPlace(default, 0, 0x40), ConfigFacts.Header);
        FactPlace[] places = [.. FactPlace.All(space.Bytes.ToArray())];
        foreach (FactPlace place in places)
            Lay(owners, place, ConfigFacts.Of(place.View));
        foreach (int id in new[] { 0x01, 0x05, 0x10, 0x11, 0x13 })
        {
            FactPlace? found = places.FirstOrDefault(place => !place.View.IsExtended && place.View.Id == id);
            if (found is not null && found.Offset + found.Length <= 256
                && Enumerable.Range(found.Offset, found.Length).All(at => owners[at] == found.Offset))
            {
                _whole[id] = found;
            }
        }

        FindFirstCopies(owners, places);
        _hardware = [];
        _shadow = [];
        _assigned = [];
        _firstShadow = [];
        StatusBits = new byte[space.Length];
        for (int bit = 0; bit < _bits.Length; bit++)
        {
            if (_bits[bit] is UserBit.UsersStatus or UserBit.OwnersStatus)
                StatusBits[bit / 8] |= (byte)(1 << (bit & 7));
        }
    }

    private ConfigModel(ConfigModel other, ReadOnlySpan<byte> config)
    {
        (_bits, _lengths, _space, _whole, StatusBits) = (other._bits, other._lengths, other._space, other._whole, other.StatusBits);
        _firstCopies = other._firstCopies;
        _assigned = config.ToArray();
        _hardware = config.ToArray();
        _firstShadow = config.ToArray();
        Put(_firstShadow, 0x04, 2, 0);
        foreach ((int offset, uint value) in _firstCopies)
            Put(_firstShadow, offset, 4, value);
        for (int i = 0; i < 6; i++)
            Put(_firstShadow, 0x10 + (4 * i), 4, FixBar(i, 0));
        Put(_firstShadow, 0x30, 4, 0);
        if (_whole.TryGetValue(0x01, out FactPlace? power))
            _firstShadow[power.Offset + 4] &= 0xfc;
        if (_whole.TryGetValue(0x05, out FactPlace? msi))
        {
            for (int at = msi.Offset + 4; at < msi.Offset + msi.Length; at++)
                _firstShadow[at] = 0;
            _firstShadow[msi.Offset + 2] &= 0x8e;
        }

        if (_whole.TryGetValue(0x11, out FactPlace? msix))
            _firstShadow[msix.Offset + 3] &= 0x3f;
        _shadow = [.. _firstShadow];

        // At open decoding is on; only a reset by the user disables it.
        _shadow[0x04] = 3;
    }

    /// <summary>The bits of the hardware that a written 1 clears.</summary>
    public byte[] StatusBits { get; }

    /// <summary>What a bit is to the user, by its number from the start of config space.</summary>
    public UserBit KindOf(int bit) => _bits[bit];

    /// <summary>What the hardware must be now.</summary>
    public ReadOnlySpan<byte> Hardware => _hardware;

    /// <summary>How many resets the user has asked for.</summary>
    public int Resets { get; private set; }

    /// <summary>A model of the function as it was assigned.</summary>
    public ConfigModel Assign(ReadOnlySpan<byte> config) => new(this, config);

    /// <summary>What a byte reads as.</summary>
    public byte Read(int offset)
    {
        int value = 0;
        for (int bit = 0; bit < 8; bit++)
        {
            byte source = _bits[(8 * offset) + bit] is UserBit.Copy or UserBit.OwnersCopy ? _shadow[offset] : _hardware[offset];
            value |= source & 1 << bit;
        }

        return (byte)value;
    }

    /// <summary>A user's write of 1, 2 or 4 aligned bytes.</summary>
    public void Write(int offset, ReadOnlySpan<byte> source)
    {
        for (int i = 0; i < 8 * source.Length; i++)
            WriteBit(offset + (i / 8), i & 7, (source[i / 8] >> (i & 7) & 1) != 0);
        Settle(offset, source.Length);
    }

    /// <summary>What the user sees instead of the hardware's value from the start: no wake-up, and lists without hidden capabilities.</summary>
    private void FindFirstCopies(int[] owners, FactPlace[] places)
    {
        FactPlace? power = places.FirstOrDefault(place => !place.View.IsExtended && place.View.Id == 0x01);
        if (power is not null && Owns(power.Offset))
            _firstCopies.Add((power.Offset, _space.Read32(power.Offset) & 0x07ff_ffff));
        FactPlace[] extended = [.. places.Where(place => place.View.IsExtended)];
        FactPlace[] seen = [.. extended.Where(place => place.Offset == 0x100 || !ConfigFacts.Hidden.Contains(place.View.Id))];
        foreach (FactPlace place in extended.Where(place => ConfigFacts.Hidden.Contains(place.View.Id)))
        {
            for (int at = place.Offset; at < Math.Min(place.Offset + place.Length, _space.Length); at += 4)
            {
                uint kept = 0;
                for (int i = 0; i < 4; i++)
                    kept |= owners[at + i] == place.Offset ? 0 : 0xffu << (8 * i);
                _firstCopies.Add((at, _space.Read32(at) & kept));
            }
        }

        for (int i = 0; i < seen.Length; i++)
        {
            uint head = _space.Read32(seen[i].Offset);
            uint next = i + 1 < seen.Length ? (uint)seen[i + 1].Offset : 0;
            bool isHidden = ConfigFacts.Hidden.Contains(seen[i].View.Id);
            bool skips = seen[i].Offset != extended[^1].Offset && next != extended[Array.IndexOf(extended, seen[i]) + 1].Offset;
            if ((skips || isHidden) && Owns(seen[i].Offset))
                _firstCopies.Add((seen[i].Offset, (isHidden ? 0 : head & 0xf_ffff) | (skips ? next << 20 : head & 0xfff0_0000)));
        }

        bool Owns(int at) => Enumerable.Range(at, 4).All(each => owners[each] == at);
    }

    private void WriteBit(int offset, int bit, bool value)
    {
        byte mask = (byte)(1 << bit);
        UserBit kind = _bits[(8 * offset) + bit];
        if (kind == UserBit.Users)
            _hardware[offset] = (byte)((_hardware[offset] & ~mask) | (value ? mask : 0));
        if (kind == UserBit.UsersStatus && value)
            _hardware[offset] &= (byte)~mask;
        if (kind == UserBit.Copy)
            _shadow[offset] = (byte)((_shadow[offset] & ~mask) | (value ? mask : 0));
    }

    private void Settle(int offset, int width)
    {
        int dword = offset & ~3;
        if (dword is >= 0x10 and < 0x28)
            Put(_shadow, dword, 4, FixBar((dword - 0x10) / 4, Get(_shadow, dword, 4)));
        if (dword == 0x30)
            Put(_shadow, dword, 4, _lengths[6] == 0 ? 0 : Get(_shadow, dword, 4) & ((uint)~(_lengths[6] - 1) & 0xfffff800 | 1));
        if (_whole.TryGetValue(0x01, out FactPlace? power) && Touches(power.Offset + 4))
            SettlePower(power.Offset);
        if (_whole.TryGetValue(0x10, out FactPlace? express) && Touches(express.Offset + 9))
            SettleExpress(express.Offset);
        if (_whole.TryGetValue(0x13, out FactPlace? features) && Touches(features.Offset + 4))
            SettleFeatures(features.Offset);
        if (_whole.TryGetValue(0x05, out FactPlace? msi) && msi.Length >= 20)
        {
            int vectors = 1 << Math.Min(5, _space.Read8(msi.Offset + 2) >> 1 & 7);
            int masks = msi.Offset + msi.Length - 8;
            Put(_shadow, masks, 4, Get(_shadow, masks, 4) & (uint)((1UL << vectors) - 1));
        }

        bool Touches(int at) => at >= offset && at < offset + width;
    }

    private void SettlePower(int at)
    {
        // D1 and D2 exist by bits 9 and 10 of the capabilities; the only ways are down, and up to D0.
        uint before = _powerState;
        uint wished = _shadow[at + 4] & 3u;
        bool has = wished is 0 or 3 || (_space.Read8(at + 3) >> (int)wished & 1) != 0;
        if (has && (wished == 0 || wished >= before))
            _powerState = wished;
        _shadow[at + 4] = (byte)((_shadow[at + 4] & 0xfcu) | _powerState);
        if (before == 3 && _powerState == 0 && (_space.Read8(at + 4) & 8) == 0)
            Reset();
    }

    private uint _powerState;

    private void SettleExpress(int at)
    {
        bool asks = (_shadow[at + 9] & 0x80) != 0;
        _shadow[at + 9] &= 0x7f;
        int payload = _hardware[at + 8] >> 5;
        int size = Math.Max(Math.Min(_shadow[at + 9] >> 4 & 7, 5), payload);
        _hardware[at + 9] = (byte)((_hardware[at + 9] & 0x8fu) | ((uint)size << 4));
        if (asks && (_space.Read8(at + 7) & 0x10) != 0)
            Reset();
    }

    private void SettleFeatures(int at)
    {
        bool asks = (_shadow[at + 4] & 1) != 0;
        _shadow[at + 4] &= 0xfe;
        if (asks && (_space.Read8(at + 3) & 2) != 0)
            Reset();
    }

    private void Reset()
    {
        Resets++;
        _powerState = 0;
        _assigned.CopyTo(_hardware, 0);
        _firstShadow.CopyTo(_shadow, 0);
    }

    private uint FixBar(int bar, uint value)
    {
        bool isUpper = false;
        for (int i = 0; i < bar; i++)
            isUpper = !isUpper && (_space.Read32(0x10 + (4 * i)) & 7) == 4;
        if (isUpper)
            return _lengths[bar - 1] == 0 ? 0 : value & (uint)(~(_lengths[bar - 1] - 1) >> 32);
        if (_lengths[bar] == 0)
            return 0;
        uint real = _space.Read32(0x10 + (4 * bar));
        uint type = (real & 1) != 0 ? 3u : 0xfu;
        return (value & (uint)~(_lengths[bar] - 1) & ~type) | (real & type);
    }

    /// <remarks>Of structures that overlap, the first has the bytes. Standard ones end with the first 256 bytes.</remarks>
    private void Lay(int[] owners, FactPlace place, IEnumerable<BitFact> facts)
    {
        int end = Math.Min(place.Offset + place.Length, place.View.IsExtended ? owners.Length : 256);
        for (int at = place.Offset; at < end; at++)
            owners[at] = owners[at] < 0 ? place.Offset : owners[at];
        foreach (BitFact fact in facts)
        {
            for (int bit = 0; bit < 32; bit++)
            {
                int at = place.Offset + fact.Offset + (bit / 8);
                if ((fact.Mask >> bit & 1) != 0 && at < end && owners[at] == place.Offset)
                    _bits[(8 * at) + (bit & 7)] = fact.Kind;
            }
        }
    }

    private static uint Get(byte[] bytes, int offset, int width) => new ConfigSpace(bytes).Read(offset, width);

    private static void Put(byte[] bytes, int offset, int width, uint value)
    {
        for (int i = 0; i < width; i++)
            bytes[offset + i] = (byte)(value >> (8 * i));
    }
}
