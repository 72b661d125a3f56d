// Reads a register again and again, of config space by pread ("config") or of BAR0 by a load from its mapping ("mapped"), and prints the median
// in nanoseconds. By the group interface: function 0000:01:00.0 in group 1.
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { COUNT = 20000, WARM = 20000 };

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static int compare(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static void need(int is_so, const char *what)
{
    if (is_so)
        return;
    perror(what);
    exit(1);
}

int main(int count, char **words)
{
    int is_mapped = count > 1 && strcmp(words[1], "mapped") == 0;
    int container = open("/dev/vfio/vfio", O_RDWR), group = open("/dev/vfio/1", O_RDWR);
    need(ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) == 0 && ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) == 0, "container");
    int device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, "0000:01:00.0");
    need(device >= 0, "device");
    struct vfio_region_info bar = { .argsz = sizeof bar, .index = VFIO_PCI_BAR0_REGION_INDEX };
    struct vfio_region_info config = { .argsz = sizeof config, .index = VFIO_PCI_CONFIG_REGION_INDEX };
    need(ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &bar) == 0 && ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &config) == 0, "region");
    volatile uint32_t *registers = mmap(NULL, bar.size, PROT_READ | PROT_WRITE, MAP_SHARED, device, (off_t)bar.offset);
    need(registers != MAP_FAILED, "mmap");
    uint32_t value = 0;
    uint16_t command = 2;
    need(pwrite(device, &command, 2, (off_t)config.offset + 4) == 2, "command");
    static uint64_t times[COUNT];
    for (int i = -WARM; i < COUNT; i++) {
        uint64_t start = now();
        if (is_mapped)
            value = registers[2];
        else
            need(pread(device, &value, 4, (off_t)config.offset) == 4, "pread");
        if (i >= 0)
            times[i] = now() - start;
    }

    qsort(times, COUNT, sizeof *times, compare);
    printf("%llu\n", (unsigned long long)times[COUNT / 2]);
    return value == 0xffffffff;
}
