using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace Vfio.Tests.Layout;

/// <summary>The rooms in reading order; a room uses only rooms above it, and only the first has unsafe code.</summary>
public sealed partial class LayerTests
{
    private const string UnsafeRoom = "Vfio.Native";

    // In the order of docs/architecture.md. A new room gets a line here, and a place in that picture.
    private static readonly (string Room, string[] MayUse)[] Rooms =
    [
        ("Vfio.Native", []),
        ("Vfio.Pci", []),
        ("Vfio", ["Vfio.Native", "Vfio.Pci"]),
        ("Vfio.Kernel", ["Vfio"]),
        ("Vfio.User", ["Vfio"]),
        ("Vfio.Guard", ["Vfio"]),
        ("Vfio.Devices", ["Vfio.Guard"]),
        ("Vfio.Drivers", ["Vfio"]),
        ("Vfio.Net", ["Vfio.Drivers"]),
        ("Vfio.Open", ["Vfio.Kernel", "Vfio.User", "Vfio.Devices"]),
        ("Vfio.Conformance", ["Vfio.User"]),
        ("Vfio.Cli", ["Vfio.Open", "Vfio.Conformance", "Vfio.Net"]),
    ];

    public static TheoryData<string, string[]> RoomsAndWhatTheyMayUse
    {
        get
        {
            TheoryData<string, string[]> data = [];
            foreach ((string room, string[] mayUse) in Rooms)
                data.Add(room, mayUse);
            return data;
        }
    }

    [Fact]
    public void Every_folder_under_src_is_a_room()
    {
        IEnumerable<string?> folders = Directory.GetDirectories(Repository.PathOf("src")).Select(Path.GetFileName).Order();
        Assert.Equal(Rooms.Select(room => room.Room).Order(), folders);
    }

    [Theory]
    [MemberData(nameof(RoomsAndWhatTheyMayUse))]
    public void A_room_uses_only_rooms_above_it(string room, string[] mayUse)
    {
        XDocument project = XDocument.Load(Repository.PathOf("src", room, room + ".csproj"));
        string?[] uses = [.. project.Descendants("ProjectReference")
            .Select(reference => Path.GetFileNameWithoutExtension((string?)reference.Attribute("Include")))];
        Assert.All(uses, used => Assert.Contains(used, mayUse));

        string[] above = [.. Rooms.TakeWhile(other => other.Room != room).Select(other => other.Room)];
        Assert.All(mayUse, used => Assert.Contains(used, above));
    }

    [Theory]
    [MemberData(nameof(RoomsAndWhatTheyMayUse))]
    public void Only_the_native_room_has_unsafe_code(string room, string[] mayUse)
    {
        _ = mayUse;
        XDocument project = XDocument.Load(Repository.PathOf("src", room, room + ".csproj"));
        Assert.Equal(room == UnsafeRoom, (string?)project.Descendants("AllowUnsafeBlocks").SingleOrDefault() == "true");
        if (room == UnsafeRoom)
            return;
        Assert.All(SourcesOf(room), file => Assert.DoesNotMatch(UnsafeWords(), File.ReadAllText(file)));
    }

    [Fact]
    public void A_source_file_has_at_most_400_lines()
    {
        Assert.All(Rooms.SelectMany(room => SourcesOf(room.Room)), file => Assert.InRange(File.ReadLines(file).Count(), 0, 400));
    }

    private static IEnumerable<string> SourcesOf(string room) =>
        Directory.EnumerateFiles(Repository.PathOf("src", room), "*.cs", SearchOption.AllDirectories)
            .Where(file => !file.Contains("/obj/", StringComparison.Ordinal) && !file.Contains("/bin/", StringComparison.Ordinal));

    // DllImport and LibraryImport are system calls; the pragma is how the ban on Unsafe and MemoryMarshal could be slipped.
    [GeneratedRegex(@"\bunsafe\b|\bDllImport\b|\bLibraryImport\b|disable\s+RS0030|\bstackalloc\s+\w+\*|\bUnsafeAccessor\b")]
    private static partial Regex UnsafeWords();
}
