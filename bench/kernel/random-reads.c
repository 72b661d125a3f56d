/*
 * Random reads of 4 KiB from a block device through the kernel's own driver and io_uring, to lay beside
 * `vfio nvme ADDRESS bench`: the same places, the same number in flight, the same line of results. Writes, other sizes and
 * sequential places too.
 *
 *   cc -O2 -static -o random-reads random-reads.c
 *   ./random-reads /dev/nvme0n1 32 5
 *   ./random-reads /dev/nvme0n1 8 5 write 131072 sequential
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/io_uring.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MAX_BYTES (1u << 20)
#define MAX_DEPTH 1024u

struct ring {
    int fd;
    unsigned *sq_tail, *sq_mask, *sq_array;
    unsigned *cq_head, *cq_tail, *cq_mask;
    struct io_uring_sqe *sqes;
    struct io_uring_cqe *cqes;
};

static void die(const char *what)
{
    fprintf(stderr, "random-reads: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void *map(int fd, size_t length, off_t where)
{
    void *at = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, where);
    if (at == MAP_FAILED)
        die("mmap of the ring");
    return at;
}

static void set_up(struct ring *ring, unsigned depth)
{
    struct io_uring_params params = { 0 };
    ring->fd = (int)syscall(SYS_io_uring_setup, depth, &params);
    if (ring->fd < 0)
        die("io_uring_setup");
    char *sq = map(ring->fd, params.sq_off.array + params.sq_entries * sizeof(unsigned), IORING_OFF_SQ_RING);
    char *cq = map(ring->fd, params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe), IORING_OFF_CQ_RING);
    ring->sqes = map(ring->fd, params.sq_entries * sizeof(struct io_uring_sqe), IORING_OFF_SQES);
    ring->sq_tail = (unsigned *)(sq + params.sq_off.tail);
    ring->sq_mask = (unsigned *)(sq + params.sq_off.ring_mask);
    ring->sq_array = (unsigned *)(sq + params.sq_off.array);
    ring->cq_head = (unsigned *)(cq + params.cq_off.head);
    ring->cq_tail = (unsigned *)(cq + params.cq_off.tail);
    ring->cq_mask = (unsigned *)(cq + params.cq_off.ring_mask);
    ring->cqes = (struct io_uring_cqe *)(cq + params.cq_off.cqes);
}

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static uint64_t cpu_time(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return ((uint64_t)usage.ru_utime.tv_sec + (uint64_t)usage.ru_stime.tv_sec) * 1000000000u
        + ((uint64_t)usage.ru_utime.tv_usec + (uint64_t)usage.ru_stime.tv_usec) * 1000u;
}

/* xorshift64*: places need to be spread, not unpredictable. */
static uint64_t next_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1du;
}

static int compare(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

int main(int argc, char **argv)
{
    if (argc < 4 || argc > 7) {
        fprintf(stderr, "usage: random-reads DEVICE DEPTH SECONDS [read|write [BYTES [random|sequential]]]\n");
        return 2;
    }

    unsigned depth = (unsigned)atoi(argv[2]);
    double seconds = atof(argv[3]);
    int is_write = argc > 4 && strcmp(argv[4], "write") == 0, is_sequential = argc > 6 && strcmp(argv[6], "sequential") == 0;
    unsigned bytes = argc > 5 ? (unsigned)atoi(argv[5]) : 4096;
    int disk = open(argv[1], (is_write ? O_RDWR : O_RDONLY) | O_DIRECT);
    uint64_t length = 0;
    if (disk < 0 || ioctl(disk, BLKGETSIZE64, &length) != 0)
        die(argv[1]);
    if (depth < 1 || depth > MAX_DEPTH || seconds <= 0 || bytes < 512 || bytes > MAX_BYTES || length < bytes) {
        fprintf(stderr, "random-reads: a depth of 1 to %u, a time above 0, 512 to %u bytes, a device that has them\n", MAX_DEPTH, MAX_BYTES);
        return 2;
    }

    struct ring ring;
    set_up(&ring, depth);
    char *buffer = mmap(NULL, (size_t)depth * bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    size_t room = 1u << 22, count = 0;
    uint32_t *times = malloc(room * sizeof(*times));
    if (buffer == MAP_FAILED || times == NULL)
        die("memory");

    uint64_t started[MAX_DEPTH], state = 1, places = length / bytes, next = 0;
    uint64_t warm = now() + (uint64_t)(seconds / 5 * 1e9), begin = 0, cpu = 0, end = UINT64_MAX;
    unsigned flying = 0, to_submit = 0, free_slots[MAX_DEPTH], free_count = depth;
    for (unsigned i = 0; i < depth; i++)
        free_slots[i] = i;
    while (1) {
        uint64_t time = now();
        if (begin == 0 && time >= warm) {
            begin = time;
            cpu = cpu_time();
            end = begin + (uint64_t)(seconds * 1e9);
            count = 0;
        }

        unsigned tail = *ring.sq_tail;
        while (free_count > 0 && time < end) {
            unsigned slot = free_slots[--free_count], index = tail & *ring.sq_mask;
            ring.sqes[index] = (struct io_uring_sqe){
                .opcode = is_write ? IORING_OP_WRITE : IORING_OP_READ, .fd = disk,
                .addr = (uint64_t)(uintptr_t)(buffer + (size_t)slot * bytes), .len = bytes,
                .off = (is_sequential ? next++ : next_random(&state)) % places * bytes, .user_data = slot,
            };
            ring.sq_array[index] = index;
            started[slot] = time;
            tail++;
            to_submit++;
            flying++;
        }

        __atomic_store_n(ring.sq_tail, tail, __ATOMIC_RELEASE);
        if (flying == 0)
            break;
        int submitted = (int)syscall(SYS_io_uring_enter, ring.fd, to_submit, 1, IORING_ENTER_GETEVENTS, NULL, 0);
        if (submitted < 0 && errno != EINTR)
            die("io_uring_enter");
        to_submit -= submitted > 0 ? (unsigned)submitted : 0;

        unsigned head = *ring.cq_head, ready = __atomic_load_n(ring.cq_tail, __ATOMIC_ACQUIRE);
        time = now();
        for (; head != ready; head++) {
            struct io_uring_cqe *done = &ring.cqes[head & *ring.cq_mask];
            if (done->res != (int)bytes) {
                errno = done->res < 0 ? -done->res : EIO;
                die(is_write ? "write" : "read");
            }

            if (count < room)
                times[count] = (uint32_t)(time - started[done->user_data]);
            count++;
            free_slots[free_count++] = (unsigned)done->user_data;
            flying--;
        }

        __atomic_store_n(ring.cq_head, head, __ATOMIC_RELEASE);
    }

    double elapsed = (double)(now() - begin) / 1e9, used = (double)(cpu_time() - cpu) / 1e3;
    size_t kept = count < room ? count : room;
    if (kept == 0)
        return 1;
    qsort(times, kept, sizeof(*times), compare);
    const char *what = is_write ? "write" : "read";
    printf("%zu %s %ss of %u bytes in %.1f s, %u in flight, by io_uring\n", count, is_sequential ? "sequential" : "random", what, bytes,
        elapsed, depth);
    printf("%.1f %ss/s, %.1f MB/s, %.1f us of CPU time a %s\n",
        (double)count / elapsed, what, (double)count * bytes / elapsed / 1e6, used / (double)count, what);
    printf("latency in us: p50 %.1f, p90 %.1f, p99 %.1f, p99.9 %.1f, max %.1f\n", times[kept / 2] / 1e3,
        times[kept * 9 / 10] / 1e3, times[kept * 99 / 100] / 1e3, times[kept * 999 / 1000] / 1e3, times[kept - 1] / 1e3);
    return 0;
}
