using System.Buffers.Binary;

namespace Vfio.Devices.Nvme;

/// <summary>The self-test under way, and the results of the last 20: log page 06h. Any thread.</summary>
/// <remarks>NVM Express Base Specification 2.0, sections 5.10 and 5.16.1.7.</remarks>
internal sealed class NvmeSelfTests
{
    /// <summary>Results, DSTRES.</summary>
    internal const int Passed = 0x0, AbortedByCommand = 0x1, AbortedByReset = 0x2, AbortedByFormat = 0x4, SegmentFailed = 0x7,
        AbortedForOtherReasons = 0x8, AbortedBySanitize = 0x9;

    private const int Results = 20, ResultBytes = 28;
    private readonly Lock _lock = new();
    private readonly List<byte[]> _results = [];
    private uint _space;
    private int _number;

    /// <summary>Which one is under way: 1 short, 2 extended, 0 none.</summary>
    internal int Current { get; private set; }

    /// <summary>Begins a test.</summary>
    /// <param name="kind">As <see cref="Current"/>.</param>
    /// <param name="space">NSID of the command.</param>
    /// <param name="number">The test's number: another may begin before what does this one sees that it has ended.</param>
    /// <returns>False when one is under way.</returns>
    internal bool TryBegin(int kind, uint space, out int number)
    {
        lock (_lock)
        {
            number = _number;
            if (Current != 0)
                return false;
            number = ++_number;
            Current = kind;
            _space = space;
            return true;
        }
    }

    /// <summary>Whether a test has not ended.</summary>
    internal bool IsUnderWay(int number)
    {
        lock (_lock)
            return Current != 0 && _number == number;
    }

    /// <summary>Ends a test, unless it has ended.</summary>
    internal void End(int number, int result, long powerOnHours)
    {
        lock (_lock)
        {
            if (_number == number)
                End(result, powerOnHours);
        }
    }

    /// <summary>Ends the test under way, if there is one.</summary>
    /// <returns>False when there is none.</returns>
    internal bool End(int result, long powerOnHours)
    {
        lock (_lock)
        {
            if (Current == 0)
                return false;
            byte[] entry = new byte[ResultBytes];
            entry[0] = (byte)(Current << 4 | result);
            entry[1] = result == SegmentFailed ? (byte)1 : (byte)0;
            entry[2] = 1; // the number of the namespace is valid
            BinaryPrimitives.WriteInt64LittleEndian(entry.AsSpan(4), powerOnHours);
            BinaryPrimitives.WriteUInt32LittleEndian(entry.AsSpan(12), _space);
            _results.Insert(0, entry);
            if (_results.Count > Results)
                _results.RemoveAt(Results);
            Current = 0;
            return true;
        }
    }

    /// <summary>Writes the log page.</summary>
    /// <param name="data">Zeros.</param>
    internal void Write(Span<byte> data)
    {
        const int FirstResult = 4;
        const byte NotUsed = 0x0f;
        lock (_lock)
        {
            data[0] = (byte)Current;
            for (int i = 0; i < Results; i++)
            {
                Span<byte> entry = data.Slice(FirstResult + (i * ResultBytes), ResultBytes);
                entry[0] = NotUsed;
                if (i < _results.Count)
                    _results[i].CopyTo(entry);
            }
        }
    }
}
