namespace Vfio.Pci;

/// <summary>One verdict of a <see cref="WellBehavedReport"/>.</summary>
/// <param name="Question">What is checked.</param>
/// <param name="Answer">The verdict.</param>
/// <param name="Reason">Why.</param>
public sealed record Finding(string Question, Answer Answer, string Reason);

/// <summary>Answers of a <see cref="Finding"/>.</summary>
public enum Answer
{
    /// <summary>It is so.</summary>
    Yes,

    /// <summary>It is not.</summary>
    No,

    /// <summary>It cannot be determined.</summary>
    Unknown,
}
