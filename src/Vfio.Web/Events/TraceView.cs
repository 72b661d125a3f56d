using Vfio.Tracing;

namespace Vfio.Web.Events;

/// <summary>A trace, live or of a file, and what can be asked of it.</summary>
/// <remarks>Any thread.</remarks>
internal sealed class TraceView
{
    private const int MostFilters = 4;
    private readonly Lock _lock = new();
    private readonly LinkedList<(string Text, MatchList Matches)> _filters = [];

    /// <summary>Makes an empty one.</summary>
    /// <param name="keep">How many events are kept.</param>
    /// <param name="users">The names of the user's table.</param>
    internal TraceView(int keep, RegisterNames users)
    {
        Sessions = new SessionBook(users);
        Store = new EventStore(keep, Learn);
    }

    /// <summary>Called with each event after it was added.</summary>
    internal event Action<TraceEvent>? Added;

    /// <summary>The events.</summary>
    internal EventStore Store { get; }

    /// <summary>The sessions.</summary>
    internal SessionBook Sessions { get; }

    /// <summary>The memory that is mapped.</summary>
    internal DmaSpace Dma { get; } = new();

    /// <summary>The registers that were used.</summary>
    internal RegisterUses Registers { get; } = new();

    /// <summary>Whether the file ended within an event.</summary>
    internal bool IsCut { get; private set; }

    /// <summary>Reads a file.</summary>
    /// <exception cref="VfioException">It is no trace, or cannot be read.</exception>
    internal void Load(string path)
    {
        using TraceReader reader = TraceReader.Open(path);
        foreach (TraceEvent one in reader.ReadAll())
            Store.Add(one);
        IsCut = reader.IsCut;
    }

    /// <summary>The events that a filter keeps; the last few filters are remembered.</summary>
    internal MatchList Find(string filter)
    {
        lock (_lock)
        {
            for (LinkedListNode<(string Text, MatchList Matches)>? node = _filters.First; node is not null; node = node.Next)
            {
                if (node.Value.Text != filter)
                    continue;
                _filters.Remove(node);
                _filters.AddFirst(node);
                return node.Value.Matches;
            }

            MatchList matches = new(new EventFilter(filter, Sessions));
            _filters.AddFirst((filter, matches));
            if (_filters.Count > MostFilters)
                _filters.RemoveLast();
            return matches;
        }
    }

    private void Learn(TraceEvent one)
    {
        Sessions.Add(one);
        Dma.Add(one);
        Registers.Add(one);
        Added?.Invoke(one);
    }
}
