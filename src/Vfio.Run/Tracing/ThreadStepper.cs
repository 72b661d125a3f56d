using Vfio.Native.Tracing;

namespace Vfio.Run.Tracing;

/// <summary>What became of one step.</summary>
internal enum StepResult
{
    /// <summary>The instruction was executed.</summary>
    Done,

    /// <summary>It raised a fault of its own.</summary>
    Fault,

    /// <summary>The thread was killed.</summary>
    Gone,

    /// <summary>The memory for it is not there any more; nothing was done.</summary>
    NoPages,
}

/// <summary>Executes one instruction of a stopped thread.</summary>
internal static class ThreadStepper
{
    private const int Trap = 5, Illegal = 4, Bus = 7, FloatingPoint = 8, Segmentation = 11;

    /// <summary>Does one step.</summary>
    /// <param name="thread">The thread.</param>
    /// <param name="signals">Receives the signals that came meanwhile, which it has not got.</param>
    internal static StepResult Step(int thread, List<int> signals)
    {
        while (true)
        {
            ThreadTracer.Step(thread);
            if (ThreadTracer.WaitFor(thread) is not { } stop || stop.Kind == StopKind.Ended)
                return StepResult.Gone;
            switch (stop)
            {
                case { Kind: StopKind.Exit }:
                    ThreadTracer.Detach(thread);
                    return StepResult.Gone;
                case { Kind: StopKind.Signal, Signal: Trap }:
                    return StepResult.Done;
                case { Kind: StopKind.Signal, Signal: Illegal or Bus or FloatingPoint or Segmentation }:
                    return StepResult.Fault;
                case { Kind: StopKind.Signal }:
                    signals.Add(stop.Signal);
                    break;
            }
        }
    }
}
