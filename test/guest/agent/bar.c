// Accesses to a BAR, each one load or store of the width that is asked for.
#include "agent.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static int access_bar(const struct request *request, uint64_t *value, int write) {
    char file[32], path[256];
    snprintf(file, sizeof file, "resource%s", request->words[2]);
    function_path(path, request->words[1], file);
    uint64_t offset = number(request, 3), bytes = number(request, 4), page = offset & ~0xfffull;
    int descriptor = open(path, O_RDWR | O_SYNC);
    if (descriptor < 0)
        return errno;
    char *mapped = mmap(NULL, 0x1000, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, (off_t)page);
    int error = errno;
    close(descriptor);
    if (mapped == MAP_FAILED)
        return error;
    volatile void *at = mapped + (offset - page);
    error = 0;
    switch (bytes) {
    case 1: write ? (void)(*(volatile uint8_t *)at = (uint8_t)*value) : (void)(*value = *(volatile uint8_t *)at); break;
    case 2: write ? (void)(*(volatile uint16_t *)at = (uint16_t)*value) : (void)(*value = *(volatile uint16_t *)at); break;
    case 4: write ? (void)(*(volatile uint32_t *)at = (uint32_t)*value) : (void)(*value = *(volatile uint32_t *)at); break;
    case 8: write ? (void)(*(volatile uint64_t *)at = *value) : (void)(*value = *(volatile uint64_t *)at); break;
    default: error = EINVAL;
    }
    munmap(mapped, 0x1000);
    return error;
}

int read_bar(const struct request *request) {
    uint64_t value = 0;
    int error = access_bar(request, &value, 0);
    if (!error)
        printf("0x%llx\n", (unsigned long long)value);
    return error;
}

int write_bar(const struct request *request) {
    uint64_t value = number(request, 5);
    return access_bar(request, &value, 1);
}
