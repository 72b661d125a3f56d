namespace Vfio.Conformance;

/// <summary>What a check found.</summary>
public enum Verdict
{
    /// <summary>The server does what the sentence asks.</summary>
    Pass,

    /// <summary>The server does something else where the specification leaves room, or where peers are known to differ; a note.</summary>
    Differs,

    /// <summary>Not tried: the server or its device does not offer what the check is about.</summary>
    Skipped,

    /// <summary>The server contradicts the sentence, did not answer in time, or ended.</summary>
    Violation,
}
