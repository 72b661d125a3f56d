using System.Buffers;
using System.Text.Json;

namespace Vfio.User.Wire;

/// <summary>The JSON of VERSION: <c>{"capabilities":{"max_msg_fds":16}}</c> and a NUL.</summary>
/// <remarks>Unknown names are ignored and whitespace is free; a known name with a value of another type is an error, because
/// a wrong limit is worse than a refusal. No reflection.</remarks>
internal static class CapabilitiesJson
{
    /// <summary>Reads the version data of a VERSION message.</summary>
    /// <param name="data">What follows the two numbers; may be empty.</param>
    /// <param name="capabilities">The capabilities.</param>
    /// <returns>False when there is no NUL, or what is before it is no such JSON.</returns>
    public static bool TryRead(ReadOnlySpan<byte> data, out Capabilities capabilities)
    {
        capabilities = default;
        if (data.Length == 0)
            return true;
        int end = data.IndexOf((byte)0);
        if (end < 0)
            return false;
        try
        {
            Utf8JsonReader json = new(data[..end]);
            bool read = ReadDocument(ref json, ref capabilities);
            // The reader reports an error for anything after the object, also for a second object.
            return read && !json.Read();
        }
        catch (JsonException)
        {
            return false;
        }
    }

    /// <summary>Writes version data, the NUL included.</summary>
    public static byte[] Write(in Capabilities capabilities)
    {
        ArrayBufferWriter<byte> to = new(256);
        using (Utf8JsonWriter json = new(to))
        {
            json.WriteStartObject();
            json.WriteStartObject("capabilities"u8);
            WriteNumber(json, "max_msg_fds"u8, capabilities.MaxMessageDescriptors);
            WriteNumber(json, "max_data_xfer_size"u8, capabilities.MaxDataTransferBytes);
            WriteNumber(json, "max_dma_maps"u8, capabilities.MaxDmaMaps);
            WriteNumber(json, "pgsizes"u8, capabilities.PageSizes);
            if (capabilities.TwinSocket is bool supported)
            {
                json.WriteStartObject("twin_socket"u8);
                json.WriteBoolean("supported"u8, supported);
                WriteNumber(json, "fd_index"u8, capabilities.TwinSocketDescriptor);
                json.WriteEndObject();
            }

            if (capabilities.MigrationPageBytes is ulong pageBytes)
            {
                json.WriteStartObject("migration"u8);
                json.WriteNumber("pgsize"u8, pageBytes);
                json.WriteEndObject();
            }

            if (capabilities.WriteMultiple is bool multiple)
                json.WriteBoolean("write_multiple"u8, multiple);
            json.WriteEndObject();
            json.WriteEndObject();
        }

        return [.. to.WrittenSpan, 0];
    }

    private static void WriteNumber(Utf8JsonWriter json, ReadOnlySpan<byte> name, ulong? value)
    {
        if (value is ulong number)
            json.WriteNumber(name, number);
    }

    private static bool ReadDocument(ref Utf8JsonReader json, ref Capabilities capabilities)
    {
        if (!json.Read() || json.TokenType != JsonTokenType.StartObject)
            return false;
        while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
        {
            if (!json.ValueTextEquals("capabilities"u8))
                json.Skip();
            else if (!ReadCapabilities(ref json, ref capabilities))
                return false;
        }

        return json.TokenType == JsonTokenType.EndObject;
    }

    private static bool ReadCapabilities(ref Utf8JsonReader json, ref Capabilities capabilities)
    {
        if (!json.Read() || json.TokenType != JsonTokenType.StartObject)
            return false;
        while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
        {
            bool right;
            if (json.ValueTextEquals("max_msg_fds"u8))
            {
                right = TryNumber(ref json, out ulong value) && value <= uint.MaxValue;
                capabilities = capabilities with { MaxMessageDescriptors = (uint)value };
            }
            else if (json.ValueTextEquals("max_data_xfer_size"u8))
            {
                right = TryNumber(ref json, out ulong value);
                capabilities = capabilities with { MaxDataTransferBytes = value };
            }
            else if (json.ValueTextEquals("max_dma_maps"u8))
            {
                right = TryNumber(ref json, out ulong value);
                capabilities = capabilities with { MaxDmaMaps = value };
            }
            else if (json.ValueTextEquals("pgsizes"u8))
            {
                right = TryNumber(ref json, out ulong value);
                capabilities = capabilities with { PageSizes = value };
            }
            else if (json.ValueTextEquals("write_multiple"u8))
            {
                right = TryBoolean(ref json, out bool value);
                capabilities = capabilities with { WriteMultiple = value };
            }
            else if (json.ValueTextEquals("twin_socket"u8))
            {
                right = ReadTwinSocket(ref json, ref capabilities);
            }
            else if (json.ValueTextEquals("migration"u8))
            {
                right = ReadMigration(ref json, ref capabilities);
            }
            else
            {
                json.Skip();
                right = true;
            }

            if (!right)
                return false;
        }

        return json.TokenType == JsonTokenType.EndObject;
    }

    private static bool ReadTwinSocket(ref Utf8JsonReader json, ref Capabilities capabilities)
    {
        if (!json.Read() || json.TokenType != JsonTokenType.StartObject)
            return false;
        while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
        {
            if (json.ValueTextEquals("supported"u8))
            {
                if (!TryBoolean(ref json, out bool supported))
                    return false;
                capabilities = capabilities with { TwinSocket = supported };
            }
            else if (json.ValueTextEquals("fd_index"u8))
            {
                if (!TryNumber(ref json, out ulong index) || index > uint.MaxValue)
                    return false;
                capabilities = capabilities with { TwinSocketDescriptor = (uint)index };
            }
            else
            {
                json.Skip();
            }
        }

        return json.TokenType == JsonTokenType.EndObject;
    }

    /// <remarks>A side that names it supports migration, also without a page size.</remarks>
    private static bool ReadMigration(ref Utf8JsonReader json, ref Capabilities capabilities)
    {
        ulong pageBytes = Protocol.PageBytes;
        if (!json.Read() || json.TokenType != JsonTokenType.StartObject)
            return false;
        while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
        {
            if (!json.ValueTextEquals("pgsize"u8))
                json.Skip();
            else if (!TryNumber(ref json, out pageBytes))
                return false;
        }

        capabilities = capabilities with { MigrationPageBytes = pageBytes };
        return json.TokenType == JsonTokenType.EndObject;
    }

    private static bool TryNumber(ref Utf8JsonReader json, out ulong value)
    {
        value = 0;
        return json.Read() && json.TokenType == JsonTokenType.Number && json.TryGetUInt64(out value);
    }

    private static bool TryBoolean(ref Utf8JsonReader json, out bool value)
    {
        bool read = json.Read();
        value = json.TokenType == JsonTokenType.True;
        return read && json.TokenType is JsonTokenType.True or JsonTokenType.False;
    }
}
