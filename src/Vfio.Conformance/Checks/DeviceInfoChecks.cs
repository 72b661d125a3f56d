using Vfio.User;
using Vfio.User.Wire;

namespace Vfio.Conformance;

/// <summary>DEVICE_GET_INFO.</summary>
internal static class DeviceInfoChecks
{
    private const string Section = "VFIO_USER_DEVICE_GET_INFO";

    internal static IEnumerable<Check> All =>
    [
        new("device-info.answers", Section, "The reply has 16 bytes of payload, and argsz says so.", trial =>
        {
            Received reply = trial.Open().MustDo(Requests.DeviceInfo());
            uint argSize = reply.At<uint>(0);
            if (reply.Body.Length < 16)
                return Outcome.Violation($"{reply.Body.Length} bytes of payload");
            return argSize == reply.Body.Length ? Outcome.Pass()
                : Outcome.Differs($"argsz {argSize} with {reply.Body.Length} bytes of payload");
        }),
        new("device-info.pci-counts", Section, "A PCI device has the 9 regions and 5 kinds of interrupt of VFIO's PCI devices, or more.",
            trial =>
        {
            DeviceFacts device = trial.Device;
            if (!device.IsPci)
                return Outcome.Skipped("it is no PCI device");
            (uint regions, uint interrupts) = (device.Info.RegionCount, device.Info.InterruptCount);
            return regions >= 9 && interrupts >= 5 ? Outcome.Pass()
                : Outcome.Violation($"{regions} regions and {interrupts} kinds of interrupt");
        }),
        new("device-info.is-pci", Section, "This version of the protocol supports PCI devices only.", trial =>
            trial.Device.IsPci ? Outcome.Pass() : Outcome.Differs("the PCI flag is not set")),
        new("device-info.argsz-large", Sections.Sizes,
            "The reply may be smaller than argsz allows; argsz in the reply is the size needed.", trial =>
        {
            Received reply = trial.Open().MustDo(Requests.DeviceInfo(argSize: 4096));
            return reply.At<uint>(0) == 4096 ? Outcome.Differs("argsz was echoed") : Outcome.Pass();
        }),
        .. new uint[] { 0, 8, 15 }.Select(size =>
            Expect.Fits($"device-info.argsz-{size}", Sections.Sizes, size, (_, argSize) => Requests.DeviceInfo(argSize))),
        Expect.Answered("device-info.argsz-4g", Sections.Sizes, "An argsz of 4 GiB is only a bound.", _ =>
            Requests.DeviceInfo(uint.MaxValue)),
        .. new[] { 0, 4, 15 }.Select(bytes => Expect.Refused(
            $"device-info.body-of-{bytes}", Section, "The request has 16 bytes; a shorter one is not read past its end.", _ =>
                Requests.DeviceInfo().Cut(bytes))),
        Expect.Answered("device-info.body-long", Section, "Bytes after the request's 16 mean nothing.", _ =>
            Requests.DeviceInfo().Add(new byte[100])),
        Expect.Answered("device-info.fields-set", Section,
            "All fields of the request but argsz are zero: others are refused or passed over.",
            _ => new Request(Command.DeviceGetInfo, [16, 0, 0, 0, .. Enumerable.Repeat((byte)0xff, 12)])),
    ];
}
