namespace Vfio.Conformance;

/// <summary>The result of a check.</summary>
public enum Verdict
{
    /// <summary>The server does what the sentence requires.</summary>
    Pass,

    /// <summary>The server does something else which the specification leaves open, or in which implementations are known to differ.</summary>
    Differs,

    /// <summary>Not run: the server or its device does not have the feature.</summary>
    Skipped,

    /// <summary>The server contradicts the sentence, did not answer in time, or exited.</summary>
    Violation,
}
