// A function that vfio-pci lends, through its group; where there is no IOMMU, through the group that says so.
#include "agent.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { most_vectors = 64 };

static int container = -1, group = -1, device = -1, has_iommu;
static int events[most_vectors];

int close_device(const struct request *request) {
    (void)request;
    for (int i = 0; i < most_vectors; i++) {
        if (events[i] > 0)
            close(events[i]);
        events[i] = 0;
    }
    close(device);
    close(group);
    close(container);
    container = group = device = -1;
    return 0;
}

static int open_group(const char *address) {
    char link[256], target[256], path[64];
    function_path(link, address, "iommu_group");
    ssize_t length = readlink(link, target, sizeof target - 1);
    if (length < 0)
        return -1;
    target[length] = 0;
    const char *name = strrchr(target, '/') + 1;
    snprintf(path, sizeof path, "/dev/vfio/%.32s", name);
    has_iommu = access(path, F_OK) == 0;
    if (!has_iommu)
        snprintf(path, sizeof path, "/dev/vfio/noiommu-%.32s", name);
    return open(path, O_RDWR);
}

int open_device(const struct request *request) {
    close_device(NULL);
    container = open("/dev/vfio/vfio", O_RDWR);
    group = open_group(request->words[1]);
    if (container < 0 || group < 0)
        return ENODEV;
    if (ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) < 0
        || ioctl(container, VFIO_SET_IOMMU, has_iommu ? VFIO_TYPE1v2_IOMMU : VFIO_NOIOMMU_IOMMU) < 0)
        return errno;
    device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, request->words[1]);
    return device < 0 ? errno : 0;
}

int reset_device(const struct request *request) {
    (void)request;
    return ioctl(device, VFIO_DEVICE_RESET) < 0 ? errno : 0;
}

int write_config(const struct request *request) {
    struct vfio_region_info config = { .argsz = sizeof config, .index = VFIO_PCI_CONFIG_REGION_INDEX };
    if (ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &config) < 0)
        return errno;
    uint64_t offset = number(request, 1), bytes = number(request, 2), value = number(request, 3);
    if (bytes > sizeof value)
        return EINVAL;
    return pwrite(device, &value, bytes, (off_t)(config.offset + offset)) == (ssize_t)bytes ? 0 : errno;
}

int arm_interrupts(const struct request *request) {
    uint64_t count = number(request, 2);
    if (count > most_vectors)
        return EINVAL;
    size_t size = sizeof(struct vfio_irq_set) + count * sizeof(int32_t);
    struct vfio_irq_set *set = calloc(1, size);
    set->argsz = (uint32_t)size;
    set->index = (uint32_t)number(request, 1);
    set->count = (uint32_t)count;
    set->flags = VFIO_IRQ_SET_ACTION_TRIGGER | (count ? VFIO_IRQ_SET_DATA_EVENTFD : VFIO_IRQ_SET_DATA_NONE);
    for (uint64_t i = 0; i < count; i++) {
        if (events[i] <= 0)
            events[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        memcpy(set->data + i * sizeof(int32_t), &events[i], sizeof(int32_t));
    }
    int error = ioctl(device, VFIO_DEVICE_SET_IRQS, set) < 0 ? errno : 0;
    free(set);
    return error;
}

int unmask_pin(const struct request *request) {
    (void)request;
    struct vfio_irq_set set = {
        .argsz = sizeof set,
        .flags = VFIO_IRQ_SET_ACTION_UNMASK | VFIO_IRQ_SET_DATA_NONE,
        .index = VFIO_PCI_INTX_IRQ_INDEX,
        .count = 1,
    };
    return ioctl(device, VFIO_DEVICE_SET_IRQS, &set) < 0 ? errno : 0;
}

int wait_for_interrupt(const struct request *request) {
    uint64_t vector = number(request, 1), times;
    if (vector >= most_vectors || events[vector] <= 0)
        return EINVAL;
    struct pollfd event = { .fd = events[vector], .events = POLLIN };
    if (poll(&event, 1, (int)number(request, 2)) == 0)
        return ETIMEDOUT;
    if (read(event.fd, &times, sizeof times) != sizeof times)
        return errno;
    printf("%llu\n", (unsigned long long)times);
    return 0;
}

int lend_page(void *page, uint64_t length, uint64_t *address) {
    if (has_iommu) {
        struct vfio_iommu_type1_dma_map map = {
            .argsz = sizeof map,
            .flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
            .vaddr = (uintptr_t)page,
            .iova = *address = 0x100000,
            .size = length,
        };
        return ioctl(container, VFIO_IOMMU_MAP_DMA, &map) < 0 ? errno : 0;
    }

    // Bits 54:0 of an entry are the number of the page's frame.
    uint64_t entry;
    int pagemap = open("/proc/self/pagemap", O_RDONLY);
    ssize_t got = pread(pagemap, &entry, sizeof entry, (off_t)((uintptr_t)page / 0x1000 * sizeof entry));
    close(pagemap);
    *address = (entry & ((1ull << 55) - 1)) * 0x1000;
    return got == sizeof entry ? 0 : EIO;
}
