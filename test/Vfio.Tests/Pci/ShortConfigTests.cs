using Vfio.Pci;
using Vfio.Pci.Decoding;
using Vfio.Pci.Rules;

namespace Vfio.Tests.Pci;

/// <summary>Dumps end where their maker stopped: at 64 bytes for ordinary users, or anywhere.</summary>
public sealed class ShortConfigTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(0x7f)]
    public void A_config_space_that_ends_anywhere_is_decoded_as_far_as_it_goes(byte layout)
    {
        MadeFunction function = MadeFunction.Express();
        function.Standard(0x80, 0x05, "8a 01").Standard(0x98, 0x01).Standard(0xa0, 0x11).Extended(0x100, 0x01, 2).Extended(0x148, 0x10, 1);
        function.Bytes.AsSpan(0x04, 2).Fill(0xff);
        function.Bytes[0x0f] = 0xff;
        function.Bytes[0x0e] = layout;
        for (int length = 0; length <= 0x190; length++)
        {
            ConfigSpace space = new(function.Bytes.AsSpan(0, length));
            FunctionDocument document = ConfigDecoder.Decode(space);
            Assert.NotEmpty(document.Lines);
            _ = new ConfigRules(space);
        }
    }
}
