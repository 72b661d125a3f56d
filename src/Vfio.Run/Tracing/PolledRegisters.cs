using System.Diagnostics;
using Vfio.Abstractions;
using Vfio.Native.Tracing;
using Vfio.Native.Waiting;
using Vfio.Run.Interface;

namespace Vfio.Run.Tracing;

/// <summary>Pages of doorbells that become plain memory while a program rings often, so that a ring is a store and not a fault.</summary>
/// <remarks>
/// <para>A page begins trapped. After a few rings in a short time it is put into the program's mapping, and opened: a thread looks at it then,
/// and makes the rings. When none has come for a while it is closed, and a ring is a fault again, which may open it again. Nothing is
/// looked at while no page is open.</para>
/// <para>A program's accesses keep their order: before another access of it is made, what it rang is made. Any thread may use it.</para>
/// </remarks>
internal sealed class PolledRegisters : IDisposable
{
    private const int RingsToOpen = 4, LooksBetweenTimes = 16, MostPages = 4096;
    private static readonly TimeSpan Often = TimeSpan.FromMilliseconds(2), Idle = TimeSpan.FromMilliseconds(2);
    private readonly string? _folder;
    private readonly Lock _lock = new();
    private readonly Dictionary<(IVfioDevice Device, uint Region, ulong Offset), Page?> _pages = [];
    private readonly AutoResetEvent _opened = new(initialState: false);
    private readonly BackgroundThread _looking;
    private volatile Page[] _open = [];
    private volatile bool _isOver;

    /// <summary>Begins with no page.</summary>
    /// <param name="folder">A folder of tmpfs; null where every ring is to be an access, so that none is missing in a log.</param>
    internal PolledRegisters(string? folder)
    {
        _folder = folder;
        _looking = new BackgroundThread("vfio doorbells", Look);
    }

    /// <summary>Makes the rings that are in memory.</summary>
    internal void Flush()
    {
        foreach (Page page in _open)
            page.Take();
    }

    /// <summary>Counts a trapped access, and says what the program's page is to become.</summary>
    /// <param name="bar">The access.</param>
    /// <returns>The page that takes the place of the one at this address; null for the one that is there.</returns>
    internal Page? Count(in BarAccess bar)
    {
        ulong start = bar.Offset & ~(IPolledRegisters.PageBytes - 1);
        (IVfioDevice, uint, ulong) key = (bar.Device, bar.Region.Value, start);
        Page? page;
        lock (_lock)
        {
            if (!_pages.TryGetValue(key, out page) && _pages.Count < MostPages)
                _pages.Add(key, page = Make(bar with { Offset = start }));
        }

        return page is not null && page.CountRing() ? page : null;
    }

    /// <summary>Opens a page, which the program has mapped.</summary>
    internal void Open(Page page)
    {
        if (!page.TryOpen())
            return;
        lock (_lock)
        {
            if (!_open.Contains(page))
                _open = [.. _open, page];
        }

        _opened.Set();
    }

    /// <summary>The registers that a mapping shows.</summary>
    /// <param name="area">The mapping.</param>
    /// <returns>The first of them; null where it is another file.</returns>
    internal BarAccess? Find(in MappedArea area)
    {
        FileKey file = area.File;
        lock (_lock)
            return _pages.Values.FirstOrDefault(page => page is not null && page.File == file)?.Start;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _isOver = true;
        _opened.Set();
        _looking.Join();
        foreach (Page? page in _pages.Values)
            page?.Dispose();
        _opened.Dispose();
    }

    private Page? Make(BarAccess start)
    {
        if (_folder is null || !start.Device.TryGet(out IPolledRegisters? registers) || !registers.IsPolled(start.Region, start.Offset))
            return null;
        try
        {
            return new Page(start, new PolledPage(_folder));
        }
        catch (VfioException)
        {
            // It stays trapped.
            return null;
        }
    }

    private void Look()
    {
        while (!_isOver)
        {
            Page[] open = _open;
            if (open.Length == 0)
            {
                ForgetClosed();
                _opened.WaitOne();
                continue;
            }

            bool isRung = false;
            for (int i = 0; i < LooksBetweenTimes; i++)
            {
                foreach (Page page in open)
                    isRung |= page.Take();
                if (isRung)
                    break;
                Thread.Yield();
            }

            if (isRung)
                continue;
            foreach (Page page in open.Where(page => page.Since > Idle))
            {
                lock (_lock)
                    _open = [.. _open.Where(other => other != page)];
                page.Close();
            }
        }
    }

    /// <summary>Removes the pages of devices that are closed.</summary>
    private void ForgetClosed()
    {
        lock (_lock)
        {
            foreach ((IVfioDevice Device, uint Region, ulong Offset) key in _pages.Keys.Where(key => key.Device is RecordedDevice { IsDisposed: true }).ToArray())
            {
                _pages.Remove(key, out Page? page);
                page?.Dispose();
            }
        }
    }

    /// <summary>A page of doorbells.</summary>
    /// <param name="start">Its first register.</param>
    /// <param name="memory">Its memory.</param>
    internal sealed class Page(BarAccess start, PolledPage memory) : IDisposable
    {
        private readonly Lock _lock = new();
        private readonly HashSet<int> _refused = [];
        private long _lastRing = Stopwatch.GetTimestamp();
        private int _rings;
        private bool _isDisposed;

        /// <summary>Its first register.</summary>
        internal BarAccess Start => start;

        /// <summary>Its file.</summary>
        internal FileKey File => memory.File;

        /// <summary>The number of its descriptor in this process.</summary>
        internal int Number => memory.Descriptor.Number;

        /// <summary>How long it has not been rung.</summary>
        internal TimeSpan Since => Stopwatch.GetElapsedTime(Volatile.Read(ref _lastRing));

        /// <summary>Counts a trapped ring.</summary>
        /// <returns>Whether there were so many in so short a time that it pays to open it.</returns>
        internal bool CountRing()
        {
            lock (_lock)
            {
                _rings = Since < Often ? _rings + 1 : 1;
                Volatile.Write(ref _lastRing, Stopwatch.GetTimestamp());
                return _rings >= RingsToOpen && !_isDisposed;
            }
        }

        /// <summary>Whether a process cannot have it.</summary>
        internal bool IsRefusedTo(int process) => _refused.Contains(process);

        /// <summary>A process cannot have it. Called by the tracer's thread.</summary>
        internal void Refuse(int process) => _refused.Add(process);

        internal bool TryOpen()
        {
            lock (_lock)
            {
                _rings = 0;
                return !_isDisposed && memory.TryOpen();
            }
        }

        internal bool Take()
        {
            lock (_lock)
            {
                bool isRung = memory.Take(Ring);
                if (isRung)
                    Volatile.Write(ref _lastRing, Stopwatch.GetTimestamp());
                return isRung;
            }
        }

        internal void Close()
        {
            lock (_lock)
                memory.Close(Ring);
        }

        /// <inheritdoc/>
        public void Dispose()
        {
            lock (_lock)
            {
                if (!_isDisposed)
                    memory.Dispose();
                _isDisposed = true;
            }
        }

        private void Ring(int offset, uint value)
        {
            try
            {
                start.Move(offset).Write(value, sizeof(uint));
            }
            catch (Exception refusal) when (Answer.IsRefusal(refusal))
            {
                // As on a machine: memory is off, or the device is gone.
            }
        }
    }
}
