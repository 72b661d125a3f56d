using System.Reflection;
using Vfio.Conformance;
using Vfio.Devices.Edu;
using Vfio.Drivers.Edu;
using Vfio.Drivers.Igb;
using Vfio.Drivers.Nvme;
using Vfio.Guard;
using Vfio.Kernel;
using Vfio.Kernel.Binding;
using Vfio.Kernel.Topology;
using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.Native.Waiting;
using Vfio.Pci;
using Vfio.Tests.Driver;
using Vfio.Tests.Drivers;
using Vfio.Tests.Kernel;
using Vfio.User;

namespace Vfio.Tests.Native;

/// <summary>Every public member that takes a time takes infinite and the longest one rightly, and refuses what is below zero.</summary>
public sealed class TimeoutTests
{
    /// <summary>Members whose time says what was, rather than how long to wait.</summary>
    private static readonly string[] Results =
    [
        "PingReply..ctor", "PingReply.RoundTrip", "CheckResult..ctor", "CheckResult.Time", "DeviceEvent.Within",
    ];

    /// <summary>What takes a timeout; each is given one while what it waits for is there already, or at once.</summary>
    private static readonly Dictionary<string, Action<TimeSpan>> Timeouts = new()
    {
        ["Deadline..ctor"] = time => _ = new Deadline(time),
        ["Deadline.ThrowIfInvalid"] = time => Deadline.ThrowIfInvalid(time),
        ["EventFd.Wait"] = time => WithSignal(signal => Assert.True(signal.Wait(time))),
        ["Poll.WaitReadable"] = time => WithSignal(signal => Assert.True(Poll.WaitReadable(signal.Descriptor, time))),
        ["Poll.WaitWritable"] = time => WithSignal(signal => Assert.True(Poll.WaitWritable(signal.Descriptor, time))),
        ["Poll.WaitEither"] = time => WithSignal(signal => Assert.Equal((true, true), Poll.WaitEither(signal.Descriptor, time))),
        ["Poll.WaitAny"] = time => WithSignal(signal => Assert.Equal(1, Poll.WaitAny([signal.Descriptor], new bool[1], time))),
        ["LivenessWait.Begin"] = time =>
        {
            LivenessWait wait = default;
            wait.Begin(time);
        },
        ["Spinner..ctor"] = time => Assert.Equal(time < TimeSpan.Zero, new Spinner(time).IsWorthIt),
        ["UnixSocket.SetReceiveTimeout"] = SetReceiveTimeout,
        ["UnixSocket.Connect"] = Connect,
        ["Interrupt.Wait"] = time => WithInterrupt((_, vector) => Assert.True(vector.Wait(time))),
        ["Interrupt.WaitAsync"] = time => WithInterrupt((_, vector) =>
        {
            Assert.True(vector.WaitAsync(time).AsTask().GetAwaiter().GetResult());
            Task<bool> waiting = vector.WaitAsync(time).AsTask();
            vector.Event.Signal();
            Assert.True(waiting.Result || time == TimeSpan.Zero);
        }),
        ["Bar.WaitFor32"] = WaitForRegister,
        ["VfioUserServerOptions.HandshakeTimeout"] = time => Serve(new VfioUserServerOptions { HandshakeTimeout = time }),
        ["VfioUserServerOptions.MessageTimeout"] = time => Serve(new VfioUserServerOptions { MessageTimeout = time }),
        ["VfioUserServerOptions.SendTimeout"] = time => Serve(new VfioUserServerOptions { SendTimeout = time }),
        ["VfioUserServerOptions.DmaTimeout"] = time => Serve(new VfioUserServerOptions { DmaTimeout = time }),
        ["VfioUserServerOptions.IdleTimeout"] = time => Serve(new VfioUserServerOptions { IdleTimeout = time }),
        ["VfioUserServerOptions.ContendedIdleTimeout"] = time => Serve(new VfioUserServerOptions { ContendedIdleTimeout = time }),
        ["VfioUserServerOptions.SpinTime"] = time => Serve(new VfioUserServerOptions { SpinTime = time }),
        ["VfioUserClientOptions.Timeout"] = time => Drive(new VfioUserClientOptions { Timeout = time }),
        ["VfioUserClientOptions.ReconnectTimeout"] = time => Drive(new VfioUserClientOptions { ReconnectTimeout = time }),
        ["VfioUserClientOptions.SpinTime"] = time => Drive(new VfioUserClientOptions { SpinTime = time }),
        ["VfioDeviceOptions.Timeout"] = time => Open(new VfioDeviceOptions { Timeout = time }),
        ["VfioDeviceOptions.Reconnect"] = time => Open(new VfioDeviceOptions { Reconnect = time }),
        ["NvmeOptions.CommandTimeout"] = time => Assert.Equal(time, new NvmeOptions { CommandTimeout = time }.CommandTimeout),
        ["EduDriver.Timeout"] = UseEdu,
        ["IgbPort.Wait"] = WaitForFrame,
        ["IEthernetPort.Wait"] = WaitForFrame,
        ["DeviceBinder.Unbind"] = Unbind,
    };

    /// <summary>What takes a time of another range, and a time above it.</summary>
    private static readonly Dictionary<string, (Action<TimeSpan> Use, TimeSpan TooLong)> Others = new()
    {
        ["EventSleep..ctor"] = (time => WithSignal(signal => new EventSleep(signal, time).Dispose()), TimeSpan.Zero),
        ["IgbOptions.InterruptInterval"] = (time =>
        {
            using IgbPort port = new(new IgbStandIn(), new IgbOptions { InterruptInterval = time });
        }, TimeSpan.FromMicroseconds(8192)),
        ["ConformanceOptions.RestartTimeout"] = (time => _ = new ConformanceOptions { Path = "/", RestartTimeout = time }, TimeSpan.FromDays(2)),
        ["ConformanceOptions.Timeout"] = (time => _ = new ConformanceOptions { Path = "/", Timeout = time }, TimeSpan.FromDays(2)),
    };

    public static TheoryData<string> Names => [.. Timeouts.Keys];

    public static TheoryData<string> OtherNames => [.. Others.Keys];

    [Fact]
    public void Every_public_member_that_takes_a_time_is_tried_here()
    {
        Type[] ofEachProject =
        [
            typeof(EventFd), typeof(ConfigSpace), typeof(PciDevice), typeof(KernelDevice), typeof(VfioUserClient), typeof(GuardedFunction),
            typeof(EduFunction), typeof(EduDriver), typeof(Vfio.Net.Pinger), typeof(VfioDevice), typeof(ConformanceKit),
        ];
        SortedSet<string> found = [.. ofEachProject.SelectMany(type => type.Assembly.GetExportedTypes()).SelectMany(TakersOf)];
        Assert.NotEmpty(found);
        Assert.Empty(found.Except([.. Timeouts.Keys, .. Others.Keys, .. Results]));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Infinite_and_the_longest_time_are_waited_for(string member)
    {
        Timeouts[member](Timeout.InfiniteTimeSpan);
        Timeouts[member](TimeSpan.MaxValue);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Other_times_below_zero_are_refused_and_the_message_has_the_range(string member)
    {
        foreach (TimeSpan time in BelowZero())
            Assert.Contains("InfiniteTimeSpan", Assert.Throws<ArgumentOutOfRangeException>(() => Timeouts[member](time)).Message);
    }

    [Theory]
    [MemberData(nameof(OtherNames))]
    public void What_cannot_wait_for_ever_refuses_infinite(string member)
    {
        (Action<TimeSpan> use, TimeSpan tooLong) = Others[member];
        foreach (TimeSpan time in BelowZero().Concat([Timeout.InfiniteTimeSpan, tooLong]))
            Assert.Throws<ArgumentOutOfRangeException>(() => use(time));
    }

    private static IEnumerable<TimeSpan> BelowZero() =>
        [TimeSpan.FromTicks(-1), TimeSpan.FromMilliseconds(-2), TimeSpan.FromSeconds(-1), TimeSpan.MinValue];

    private static IEnumerable<string> TakersOf(Type type)
    {
        const BindingFlags Declared = BindingFlags.Public | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;
        foreach (MethodBase method in type.GetMethods(Declared).Cast<MethodBase>().Concat(type.GetConstructors(Declared)))
        {
            if (!method.IsSpecialName || method.IsConstructor)
            {
                if (method.Name != "Deconstruct" && method.GetParameters().Any(parameter => IsTime(parameter.ParameterType)))
                    yield return $"{type.Name}.{method.Name}";
            }
        }

        foreach (PropertyInfo property in type.GetProperties(Declared))
        {
            if (IsTime(property.PropertyType) && property.SetMethod is { IsPublic: true })
                yield return $"{type.Name}.{property.Name}";
        }
    }

    private static bool IsTime(Type type) => type == typeof(TimeSpan) || type == typeof(TimeSpan?);

    private static void WithSignal(Action<EventFd> use)
    {
        using EventFd signal = EventFd.Create();
        signal.Signal();
        use(signal);
    }

    private static void WithInterrupt(Action<FakeDevice, Interrupt> use)
    {
        FakeDevice fake = new();
        fake.AddInterrupt(InterruptIndex.Msi, 1);
        using PciDevice device = new(fake);
        using InterruptSet vectors = device.Interrupts.Enable(1);
        vectors[0].Event.Signal();
        use(fake, vectors[0]);
    }

    private static void SetReceiveTimeout(TimeSpan time)
    {
        (UnixSocket one, UnixSocket other) = UnixSocket.CreatePair();
        using (one)
        using (other)
        using (DescriptorQueue descriptors = new())
        {
            one.SetReceiveTimeout(time);
            Task<int> receiving = Task.Factory.StartNew(
                () => one.Receive(new byte[1], descriptors, wait: true, out _), TaskCreationOptions.LongRunning);
            other.Send([1], wait: true, out _);
            Assert.Equal(1, receiving.Result);
        }
    }

    private static void Connect(TimeSpan time)
    {
        string folder = Directory.CreateTempSubdirectory("vfio-connect-").FullName;
        try
        {
            using UnixListener listener = UnixListener.Bind(Path.Combine(folder, "socket"), UnixFileMode.UserRead | UnixFileMode.UserWrite);
            using UnixSocket socket = UnixSocket.Connect(Path.Combine(folder, "socket"), time);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static void WaitForRegister(TimeSpan time)
    {
        FakeDevice fake = new();
        fake.AddRegion(RegionIndex.Bar0, 16);
        using PciDevice device = new(fake);
        Bar bar = device.OpenBar(0);
        Task<bool> waiting = Task.Factory.StartNew(() => bar.WaitFor32(0, 0xff, 7, time), TaskCreationOptions.LongRunning);
        fake.Region(RegionIndex.Bar0)[0] = 7;
        Assert.True(waiting.GetAwaiter().GetResult());
    }

    private static void Serve(VfioUserServerOptions options) => Meet(options, path => VfioUserClient.Connect(path));

    private static void Drive(VfioUserClientOptions options) => Meet(new VfioUserServerOptions(), path => VfioUserClient.Connect(path, options));

    private static void Open(VfioDeviceOptions options) => Meet(new VfioUserServerOptions(), path => VfioDevice.Open($"unix:{path}", options));

    // A session from beginning to end, in which each side waits for the other.
    private static void Meet(VfioUserServerOptions served, Func<string, IVfioDevice> connect)
    {
        string folder = Directory.CreateTempSubdirectory("vfio-meet-").FullName;
        try
        {
            string path = Path.Combine(folder, "socket");
            using GuardedFunction edu = new(new EduFunction());
            using VfioUserServer server = new(edu.Open, served with { Path = path });
            using CancellationTokenSource stop = new();
            Task serving = server.RunAsync(stop.Token);
            try
            {
                using EduDriver driver = new(connect(path));
                Assert.Equal(6u, driver.Factorial(3));
            }
            finally
            {
                stop.Cancel();
                serving.Wait();
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static void UseEdu(TimeSpan time)
    {
        using GuardedFunction edu = new(new EduFunction());
        using EduDriver driver = new(edu.Open()) { Timeout = time };
        Assert.Equal(6u, driver.Factorial(3));
    }

    private static void WaitForFrame(TimeSpan time)
    {
        IgbStandIn device = new();
        using IgbPort port = new(device);
        Task<bool> waiting = Task.Factory.StartNew(() => port.Wait(time), TaskCreationOptions.LongRunning);
        device.Deliver(new byte[64]);
        Assert.True(waiting.GetAwaiter().GetResult());
    }

    private static void Unbind(TimeSpan time)
    {
        using FakeSysfs sysfs = new();
        try
        {
            new DeviceBinder(new KernelPaths { Sysfs = sysfs.Root }).Unbind(new PciAddress(0, 1, 0, 0), time);
            Assert.Fail("there is no such function");
        }
        catch (VfioException)
        {
            // It is looked for after the time was checked.
        }
    }
}
