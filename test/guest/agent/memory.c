// One page that the device may reach.
#include "agent.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum { page_bytes = 0x1000 };
static uint8_t *page;

int map_page(const struct request *request) {
    (void)request;
    if (page)
        munmap(page, page_bytes);
    page = mmap(NULL, page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED | MAP_POPULATE, -1, 0);
    if (page == MAP_FAILED)
        return errno;
    uint64_t address;
    int error = lend_page(page, page_bytes, &address);
    if (!error)
        printf("0x%llx\n", (unsigned long long)address);
    return error;
}

int put_bytes(const struct request *request) {
    uint64_t offset = number(request, 1);
    const char *hex = request->words[2];
    if (offset > page_bytes || strlen(hex) / 2 > page_bytes - offset)
        return EINVAL;
    for (unsigned int byte; sscanf(hex, "%2x", &byte) == 1; hex += 2)
        page[offset++] = (uint8_t)byte;
    return 0;
}

int get_bytes(const struct request *request) {
    uint64_t offset = number(request, 1), count = number(request, 2);
    if (offset > page_bytes || count > page_bytes - offset)
        return EINVAL;
    for (uint64_t i = 0; i < count; i++)
        printf("%02x", page[offset + i]);
    puts("");
    return 0;
}
