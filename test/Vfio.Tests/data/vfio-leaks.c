// Drives the edu device and leaves behind, or does wrong, what its arguments say: mappings, master, eventfd, fault, unmapped. With iommufd it uses
// the device's own file; what follows "shell" is run while the device is open. For VfioRun's tests.
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { IOVA = 0x100000, PAGE = 0x1000 };

// linux/iommufd.h and the newer part of linux/vfio.h, which older headers lack.
struct bind { uint32_t argsz, flags; int32_t iommufd; uint32_t out_devid; };
struct attach { uint32_t argsz, flags, pt_id; };
struct ioas_alloc { uint32_t size, flags, out_ioas_id; };
struct ioas_map { uint32_t size, flags, ioas_id, reserved; uint64_t user_va, length, iova; };
struct ioas_unmap { uint32_t size, ioas_id; uint64_t iova, length; };

static int has(int count, char **words, const char *word)
{
    for (int i = 1; i < count; i++) {
        if (strcmp(words[i], word) == 0)
            return 1;
    }
    return 0;
}

static void need(int is_so, const char *what)
{
    if (is_so)
        return;
    perror(what);
    exit(3);
}

static int device, container, iommu;
static uint32_t space;

static void open_by_group(void)
{
    container = open("/dev/vfio/vfio", O_RDWR);
    int group = open("/dev/vfio/1", O_RDWR);
    need(ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) == 0, "container");
    need(ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) == 0, "type 1");
    device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, "0000:01:00.0");
}

static void open_by_file(void)
{
    iommu = open("/dev/iommu", O_RDWR);
    device = open("/dev/vfio/devices/vfio0", O_RDWR);
    struct bind bind = { sizeof bind, 0, iommu, 0 };
    need(ioctl(device, 0x3b76, &bind) == 0, "bind");
    struct ioas_alloc alloc = { sizeof alloc, 0, 0 };
    need(ioctl(iommu, 0x3b81, &alloc) == 0, "address space");
    space = alloc.out_ioas_id;
    struct attach attach = { sizeof attach, 0, space };
    need(ioctl(device, 0x3b77, &attach) == 0, "attach");
}

static void map(void *memory)
{
    struct vfio_iommu_type1_dma_map legacy = { sizeof legacy, 3, (uintptr_t)memory, IOVA, PAGE };
    struct ioas_map modern = { sizeof modern, 7, space, 0, (uintptr_t)memory, PAGE, IOVA };
    need(iommu ? ioctl(iommu, 0x3b85, &modern) == 0 : ioctl(container, VFIO_IOMMU_MAP_DMA, &legacy) == 0, "map");
}

static void unmap(void)
{
    struct vfio_iommu_type1_dma_unmap legacy = { sizeof legacy, 0, IOVA, PAGE };
    struct ioas_unmap modern = { sizeof modern, space, IOVA, PAGE };
    need(iommu ? ioctl(iommu, 0x3b86, &modern) == 0 : ioctl(container, VFIO_IOMMU_UNMAP_DMA, &legacy) == 0, "unmap");
}

static uint64_t offset_of(uint32_t region)
{
    struct vfio_region_info info = { .argsz = sizeof info, .index = region };
    need(ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &info) == 0, "region");
    return info.offset;
}

static void set_command(uint16_t value) { need(pwrite(device, &value, 2, offset_of(VFIO_PCI_CONFIG_REGION_INDEX) + 4) == 2, "command"); }

// QEMU's docs/specs/edu.rst: source, destination, count, command; the device's buffer is at 0x40000. Its end is awaited.
static void move_from(uint64_t source)
{
    uint64_t bar = offset_of(VFIO_PCI_BAR0_REGION_INDEX), values[] = { source, 0x40000, 64, 1 }, command = 1;
    for (int i = 0; i < 4; i++)
        need(pwrite(device, &values[i], 8, bar + 0x80 + 8 * i) == 8, "dma");
    while (command & 1)
        need(pread(device, &command, 8, bar + 0x98) == 8, "dma");
}

static void set_event(int number)
{
    struct { struct vfio_irq_set set; int32_t event; } bind = {
        { sizeof bind, VFIO_IRQ_SET_ACTION_TRIGGER | (number < 0 ? VFIO_IRQ_SET_DATA_NONE : VFIO_IRQ_SET_DATA_EVENTFD), VFIO_PCI_MSI_IRQ_INDEX, 0, number >= 0 }, number };
    need(ioctl(device, VFIO_DEVICE_SET_IRQS, &bind) == 0, "interrupt");
}

int main(int count, char **words)
{
    if (has(count, words, "iommufd"))
        open_by_file();
    else
        open_by_group();
    need(device >= 0, "device");
    void *memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    map(memory);
    set_event(eventfd(0, 0));
    set_command(6);
    move_from(IOVA);
    if (has(count, words, "shell")) {
        need(system(words[count - 1]) == 0, "shell");
        move_from(IOVA);
    }
    if (has(count, words, "fault"))
        move_from(0x8000000);
    if (has(count, words, "unmapped")) {
        munmap(memory, PAGE);
        move_from(IOVA);
    }
    if (!has(count, words, "mappings"))
        unmap();
    if (!has(count, words, "eventfd"))
        set_event(-1);
    if (!has(count, words, "master"))
        set_command(2);
    return has(count, words, "fail") ? 5 : 0;
}
