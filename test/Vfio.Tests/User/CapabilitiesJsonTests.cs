using System.Text;
using Vfio.User;
using Vfio.User.Wire;

namespace Vfio.Tests.User;

public sealed class CapabilitiesJsonTests
{
    [Fact]
    public void All_names_of_the_specification_are_read()
    {
        const string Json = """
            {"capabilities":{"max_msg_fds":8,"max_data_xfer_size":1048576,"max_dma_maps":65535,"pgsizes":4096,
            "twin_socket":{"supported":true,"fd_index":0},"write_multiple":true,
            "migration":{"extra":[],"pgsize":65536}}}
            """;
        Assert.True(TryRead(Json + "\0", out Capabilities read));
        Capabilities expected = new()
        {
            MaxMessageDescriptors = 8,
            MaxDataTransferBytes = 1048576,
            MaxDmaMaps = 65535,
            PageSizes = 4096,
            TwinSocket = true,
            TwinSocketDescriptor = 0,
            WriteMultiple = true,
            MigrationPageBytes = 65536,
        };
        Assert.Equal(expected, read);
    }

    [Theory]
    [InlineData("{}\0")]
    [InlineData(" { } \0")]
    [InlineData("{\"capabilities\":{}}\0")]
    [InlineData("{\"vendor\":{\"x\":[1,{\"capabilities\":3}]},\"capabilities\":{\"mirroring\":{\"pgsize\":4096},\"new\":null}}\0")]
    [InlineData("\n{\t\"capabilities\" : {\r\n } }\0\0\0")]
    [InlineData("")]
    public void Unknown_and_missing_names_are_null(string data)
    {
        Assert.True(TryRead(data, out Capabilities read));
        Assert.Equal(default, read);
    }

    [Theory]
    [InlineData("{\"capabilities\":{\"max_msg_fds\":\"8\"}}\0")]
    [InlineData("{\"capabilities\":{\"max_msg_fds\":-1}}\0")]
    [InlineData("{\"capabilities\":{\"max_msg_fds\":1.5}}\0")]
    [InlineData("{\"capabilities\":{\"max_msg_fds\":4294967296}}\0")]
    [InlineData("{\"capabilities\":{\"max_data_xfer_size\":18446744073709551616}}\0")]
    [InlineData("{\"capabilities\":{\"max_data_xfer_size\":null}}\0")]
    [InlineData("{\"capabilities\":{\"write_multiple\":1}}\0")]
    [InlineData("{\"capabilities\":{\"twin_socket\":true}}\0")]
    [InlineData("{\"capabilities\":{\"twin_socket\":{\"supported\":\"yes\"}}}\0")]
    [InlineData("{\"capabilities\":{\"migration\":4096}}\0")]
    [InlineData("{\"capabilities\":{\"migration\":{\"pgsize\":\"4096\"}}}\0")]
    [InlineData("{\"capabilities\":[]}\0")]
    [InlineData("{\"capabilities\":{}}")]
    [InlineData("{\"capabilities\":{}\0")]
    [InlineData("{\"capabilities\":{}} {}\0")]
    [InlineData("{\"capabilities\":{},}\0")]
    [InlineData("[]\0")]
    [InlineData("\0")]
    [InlineData("capabilities\0")]
    public void What_is_of_another_type_or_no_JSON_is_refused(string data) => Assert.False(TryRead(data, out _));

    [Fact]
    public void A_deep_nest_is_refused() =>
        Assert.False(TryRead("{\"x\":" + new string('[', 1000) + new string(']', 1000) + "}\0", out _));

    [Fact]
    public void Only_what_is_said_is_written()
    {
        byte[] written = CapabilitiesJson.Write(
            new Capabilities { MaxMessageDescriptors = 16, MaxDataTransferBytes = 1 << 20, MigrationPageBytes = 4096 });
        Assert.Equal(
            "{\"capabilities\":{\"max_msg_fds\":16,\"max_data_xfer_size\":1048576,\"migration\":{\"pgsize\":4096}}}\0",
            Encoding.UTF8.GetString(written));
    }

    private static bool TryRead(string data, out Capabilities read) => CapabilitiesJson.TryRead(Encoding.UTF8.GetBytes(data), out read);
}
