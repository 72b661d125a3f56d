using Vfio.Native;
using Vfio.Native.Errors;

namespace Vfio.Cli.Output;

/// <summary>One line of progress on the terminal, which the next output replaces; nothing when standard error is no terminal.</summary>
internal static class StatusLine
{
    private const string Clear = "\r\e[K";
    private static bool _isShown;

    /// <summary>Shows a text in place of the one before; null clears the line.</summary>
    internal static void Show(string? text)
    {
        if (!StandardStreams.Errors.IsTerminal || (text is null && !_isShown))
            return;
        StandardStreams.Errors.Raw.Write(Clear + PrintableText.Of(text));
        _isShown = text is not null;
    }
}
