/* What a frame costs a driver of the 82576 when the device costs nothing: the same loops as Program.cs, in C.
 *
 * Batches of 32 on rings of 512 in memory, completed between rounds of 15 batches, outside of the time. As the driver, it keeps who
 * owns a buffer, and refuses a frame that is not the caller's or has no possible length; unlike the driver, it trusts its own indexes.
 * Prints the median of many rounds in nanoseconds a frame. */
#define _GNU_SOURCE
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 32, BATCHES_A_ROUND = 15, FRAME_BYTES = 60, ROUNDS = 40000, WARM_UP = 20000 };
enum { ENTRIES = 512, MASK = ENTRIES - 1, BUFFER_BYTES = 2048, BUFFERS = 2 * ENTRIES + 256, REFILL_AT_ONCE = 32 };
enum { SHORTEST = 14, SHORTEST_ON_WIRE = 60, LONGEST = 1518 };
enum { DONE = 1, END_OF_PACKET = 2 };
#define RECEIVE_ERROR 0x80000000ul
#define WHOLE_FRAME 0x23300000u
#define REPORT 0x08000000u

struct descriptor { volatile uint64_t low, high; };
struct frame { int buffer, length; };

/* Both tails are in memory of their own, as in a mapped BAR. */
static volatile uint32_t *receive_tail_register, *transmit_tail_register;
static struct descriptor *receive_ring, *transmit_ring;
static uint8_t *memory;
static const uint64_t start = 0x100000;

static int free_buffers[BUFFERS], free_count;
static bool is_lent[BUFFERS];
static int posted[ENTRIES], receive_head, receive_tail;
static int sending[ENTRIES], last_of_batch[ENTRIES], transmit_head, transmit_tail;
static int device_head;

static void fail(const char *why) { fprintf(stderr, "rings: %s\n", why); exit(1); }

static void *share(size_t bytes)
{
    int file = memfd_create("rings", MFD_CLOEXEC);
    void *at = file < 0 || ftruncate(file, bytes) ? MAP_FAILED : mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (at == MAP_FAILED)
        fail("no memory");
    return at;
}

static void ring_doorbell(volatile uint32_t *tail_register, int tail)
{
    __atomic_thread_fence(__ATOMIC_RELEASE);
    *tail_register = tail;
}

static void refill(void)
{
    int tail = receive_tail;
    for (int left = MASK - ((tail - receive_head) & MASK); left > 0 && free_count > 0; left--) {
        int buffer = free_buffers[--free_count];
        posted[tail] = buffer;
        receive_ring[tail].low = start + (uint64_t)buffer * BUFFER_BYTES;
        receive_ring[tail].high = 0;
        tail = (tail + 1) & MASK;
    }
    if (tail == receive_tail)
        return;
    receive_tail = tail;
    ring_doorbell(receive_tail_register, tail);
}

static __attribute__((noinline)) int receive(struct frame *frames, int wanted)
{
    static bool in_long_frame;
    int count = 0, head = receive_head;
    while (count < wanted && head != receive_tail) {
        uint64_t status = receive_ring[head].high;
        if (!(status & DONE))
            break;
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        int buffer = posted[head], length = status >> 32 & 0xffff;
        head = (head + 1) & MASK;
        if ((status & (END_OF_PACKET | RECEIVE_ERROR)) != END_OF_PACKET || in_long_frame || length > BUFFER_BYTES) {
            free_buffers[free_count++] = buffer;
            in_long_frame = !(status & END_OF_PACKET);
            continue;
        }
        is_lent[buffer] = true;
        frames[count++] = (struct frame){ buffer, length };
    }
    receive_head = head;
    if (MASK - ((receive_tail - head) & MASK) >= REFILL_AT_ONCE)
        refill();
    return count;
}

static void reap(void)
{
    while (transmit_head != transmit_tail) {
        int last = last_of_batch[transmit_head];
        if (!(transmit_ring[last].high >> 32 & DONE))
            return;
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        int end = (last + 1) & MASK;
        for (int entry = transmit_head; entry != end; entry = (entry + 1) & MASK)
            free_buffers[free_count++] = sending[entry];
        transmit_head = end;
    }
}

static int room(void) { return MASK - ((transmit_tail - transmit_head) & MASK); }

static __attribute__((noinline)) int transmit(const struct frame *frames, int wanted)
{
    if (room() < wanted)
        reap();
    int count = wanted < room() ? wanted : room();
    if (count == 0)
        return 0;
    int first = transmit_tail, tail = first;
    for (int i = 0; i < count; i++) {
        struct frame frame = frames[i];
        if (frame.length < SHORTEST || frame.length > LONGEST || (unsigned)frame.buffer >= BUFFERS || !is_lent[frame.buffer])
            fail("a frame that cannot be sent");
        is_lent[frame.buffer] = false;
        int length = frame.length;
        if (length < SHORTEST_ON_WIRE) {
            memset(memory + (size_t)frame.buffer * BUFFER_BYTES + length, 0, SHORTEST_ON_WIRE - length);
            length = SHORTEST_ON_WIRE;
        }
        sending[tail] = frame.buffer;
        uint32_t command = WHOLE_FRAME | length | (i == count - 1 ? REPORT : 0);
        transmit_ring[tail].low = start + (uint64_t)frame.buffer * BUFFER_BYTES;
        transmit_ring[tail].high = (uint64_t)length << 46 | command;
        tail = (tail + 1) & MASK;
    }
    last_of_batch[first] = (tail - 1) & MASK;
    transmit_tail = tail;
    ring_doorbell(transmit_tail_register, tail);
    return count;
}

static __attribute__((noinline)) int take(struct frame *frames, int wanted)
{
    if (free_count < wanted)
        reap();
    int count = 0;
    while (count < wanted && free_count > 0) {
        int buffer = free_buffers[--free_count];
        is_lent[buffer] = true;
        frames[count++] = (struct frame){ buffer, 0 };
    }
    return count;
}

static __attribute__((noinline)) void give_back(const struct frame *frames, int count)
{
    for (int i = 0; i < count; i++) {
        int buffer = frames[i].buffer;
        if ((unsigned)buffer >= BUFFERS || !is_lent[buffer])
            fail("a buffer that is not the caller's");
        is_lent[buffer] = false;
        free_buffers[free_count++] = buffer;
    }
}

static void demand(int count)
{
    if (count != BATCH)
        fail("not a whole batch");
}

static struct frame frames[BATCH];

static __attribute__((noinline)) void transmit_round(void)
{
    for (int i = 0; i < BATCHES_A_ROUND; i++) {
        demand(take(frames, BATCH));
        for (int j = 0; j < BATCH; j++)
            frames[j].length = FRAME_BYTES;
        demand(transmit(frames, BATCH));
    }
}

static __attribute__((noinline)) void receive_round(void)
{
    for (int i = 0; i < BATCHES_A_ROUND; i++) {
        demand(receive(frames, BATCH));
        give_back(frames, BATCH);
    }
}

static __attribute__((noinline)) void forward_round(void)
{
    for (int i = 0; i < BATCHES_A_ROUND; i++) {
        demand(receive(frames, BATCH));
        demand(transmit(frames, BATCH));
    }
}

/* The device, outside of the time. */
static void complete(void)
{
    static int head;
    for (; head != (int)*transmit_tail_register; head = (head + 1) & MASK)
        if (transmit_ring[head].high & REPORT)
            transmit_ring[head].high = (uint64_t)DONE << 32;
}

static void deliver(void)
{
    static const uint8_t bytes[FRAME_BYTES];
    for (int i = 0; i < BATCH * BATCHES_A_ROUND && device_head != (int)*receive_tail_register; i++) {
        struct descriptor *at = &receive_ring[device_head];
        memcpy(memory + (at->low - start), bytes, sizeof bytes);
        at->low = 0xdeadbeef;
        at->high = (uint64_t)FRAME_BYTES << 32 | DONE | END_OF_PACKET;
        device_head = (device_head + 1) & MASK;
    }
}

static void nothing(void) { }

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000ll + time.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

static void measure(const char *name, void (*before)(void), void (*action)(void), void (*after)(void))
{
    static int64_t times[ROUNDS];
    for (int round = -WARM_UP; round < ROUNDS; round++) {
        before();
        int64_t begin = now();
        action();
        int64_t end = now();
        after();
        if (round >= 0)
            times[round] = end - begin;
    }
    qsort(times, ROUNDS, sizeof *times, by_value);
    printf("%s %.2f\n", name, (double)times[ROUNDS / 2] / (BATCH * BATCHES_A_ROUND));
}

int main(void)
{
    uint8_t *registers = share(0x20000);
    receive_tail_register = (volatile uint32_t *)(registers + 0xc018);
    transmit_tail_register = (volatile uint32_t *)(registers + 0xe018);
    receive_ring = share(ENTRIES * sizeof *receive_ring);
    transmit_ring = share(ENTRIES * sizeof *transmit_ring);
    memory = share((size_t)BUFFERS * BUFFER_BYTES);
    while (free_count < BUFFERS) {
        free_buffers[free_count] = BUFFERS - 1 - free_count;
        free_count++;
    }
    refill();
    measure("transmit", nothing, transmit_round, complete);
    measure("receive", deliver, receive_round, nothing);
    measure("forward", deliver, forward_round, complete);
}
