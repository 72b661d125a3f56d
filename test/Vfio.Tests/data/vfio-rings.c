// Rings the doorbells of VfioRun's tests: 4-byte registers in the second page of BAR0. The function writes the number that rang to the memory that
// belongs to the doorbell, and shows the last one in the first register. Each ring has to arrive, the same number again too, and before what the
// program does next with the device.
#include <fcntl.h>
#include <linux/vfio.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { IOVA = 0x100000, PAGE = 0x1000, BELLS = 8, PATIENCE = 60 };

static void need(int is_so, const char *what)
{
    if (is_so)
        return;
    perror(what);
    exit(3);
}

int main(int count, char **words)
{
    int rings = count > 1 ? atoi(words[1]) : 1000;
    int container = open("/dev/vfio/vfio", O_RDWR), group = open("/dev/vfio/1", O_RDWR);
    need(ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) == 0 && ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) == 0, "container");
    int device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, "0000:01:00.0");
    need(device >= 0, "device");
    volatile uint32_t *memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct vfio_iommu_type1_dma_map map = { sizeof map, 3, (uintptr_t)memory, IOVA, PAGE };
    need(ioctl(container, VFIO_IOMMU_MAP_DMA, &map) == 0, "map");
    struct vfio_region_info bar = { .argsz = sizeof bar, .index = VFIO_PCI_BAR0_REGION_INDEX };
    struct vfio_region_info config = { .argsz = sizeof config, .index = VFIO_PCI_CONFIG_REGION_INDEX };
    need(ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &bar) == 0 && ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &config) == 0, "region");
    uint16_t command = 6;
    need(pwrite(device, &command, 2, (off_t)config.offset + 4) == 2, "command");
    volatile uint32_t *registers = mmap(NULL, bar.size, PROT_READ | PROT_WRITE, MAP_SHARED, device, (off_t)bar.offset), *bells = registers + PAGE / 4;
    need(registers != MAP_FAILED, "mmap");

    for (int i = 0; i < rings; i++) {
        int bell = i % BELLS;
        uint32_t number = (uint32_t)i / 16 + 1, seen = 0;
        memory[bell] = 0;
        bells[bell] = number;
        if (i % 101 == 0 && registers[0] != number) {
            printf("ring %d came after the read behind it\n", i);
            return 1;
        }
        if (i % 103 == 0 && (pread(device, &seen, 4, (off_t)bar.offset) != 4 || seen != number)) {
            printf("ring %d came after the pread behind it\n", i);
            return 1;
        }
        for (time_t end = time(NULL) + PATIENCE; memory[bell] != number; sched_yield()) {
            if (time(NULL) > end) {
                printf("ring %d is lost\n", i);
                return 1;
            }
        }

        // Now and then so long that nobody looks any more, and about as long as that takes.
        if (i % 64 == 0)
            usleep((useconds_t)(rand() % 4000));
    }

    return 0;
}
