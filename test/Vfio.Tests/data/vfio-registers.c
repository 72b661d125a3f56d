// Drives the edu device through a group and a container, with each kind of instruction that accesses a register. For VfioRun's tests.
// Offset 0 reads 0x010000ed; offset 4 reads what was written to it, inverted (QEMU's docs/specs/edu.rst).
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/vfio.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ID = 0x010000ed };

static volatile uint32_t *registers;
static volatile sig_atomic_t alarms;
static int failures;

#define CHECK(condition)                                                  \
    do {                                                                  \
        if (!(condition)) {                                               \
            printf("line %d: %s\n", __LINE__, #condition);                \
            failures++;                                                   \
        }                                                                 \
    } while (0)

static void on_alarm(int signal) { alarms += signal != 0; }

static void loads_and_stores(void)
{
    volatile uint32_t *id = registers, *inverted = registers + 1;
    uint32_t word;
    uint64_t wide, index = 1;
    *inverted = 0x12345678;
    CHECK(*inverted == ~0x12345678u);
    asm volatile("mov (%1), %0" : "=r"(word) : "r"(id));
    CHECK(word == ID);
    asm volatile("movslq (%1), %0" : "=r"(wide) : "r"(id));
    CHECK(wide == ID);
    *inverted = 0x7fffffff;
    asm volatile("movslq (%1), %0" : "=r"(wide) : "r"(inverted));
    CHECK(wide == 0xffffffff80000000);
    asm volatile("movl (%1,%2,4), %0" : "=r"(word) : "r"(id), "r"(index));
    CHECK(word == 0x80000000);
    asm volatile("movl $0xfffffffe, (%0)" : : "r"(inverted) : "memory");
    CHECK(*inverted == 1);
    asm volatile("movnti %0, (%1)" : : "r"(~9u), "r"(inverted) : "memory");
    CHECK(*inverted == 9);
    wide = (uint64_t)id;
    asm volatile("movslq (%0), %0" : "+r"(wide));
    CHECK(wide == ID);
}

static void flags(void)
{
    volatile uint32_t *id = registers;
    uint8_t is;
    uint32_t less = ID - 1;
    asm volatile("testl $0xed, (%1); setnz %0" : "=r"(is) : "r"(id) : "cc");
    CHECK(is);
    asm volatile("testl $2, (%1); setz %0" : "=r"(is) : "r"(id) : "cc");
    CHECK(is);
    asm volatile("cmpl $0x010000ed, (%1); sete %0" : "=r"(is) : "r"(id) : "cc");
    CHECK(is);
    asm volatile("cmpl $0x010000ee, (%1); setb %0" : "=r"(is) : "r"(id) : "cc");
    CHECK(is);
    asm volatile("cmpl (%2), %1; setl %0" : "=r"(is) : "r"(less), "r"(id) : "cc");
    CHECK(is);
}

// The flags that an instruction leaves, with a register of the device and with memory as its operand.
#define FLAGS(code, operand, other)                                                                       \
    ({                                                                                                    \
        uint64_t flags_;                                                                                  \
        asm volatile(code "; pushfq; pop %0" : "=r"(flags_) : "r"(operand), "r"(other) : "cc", "memory"); \
        flags_;                                                                                           \
    })

static void flags_are_the_processors(void)
{
    enum { COMPARED = 0x8d5, TESTED = 0x8c5 };
    static const uint32_t values[] = { 0, 1, 0x0f, 0x10, 0xff, 0x7fffffff, 0x80000000, 0x80000001, 0xfffffffe, 0xffffffff };
    enum { COUNT = sizeof values / sizeof *values };
    volatile uint32_t *inverted = registers + 1;
    for (int i = 0; i < COUNT * COUNT; i++) {
        uint32_t memory = values[i / COUNT], other = values[i % COUNT];
        *inverted = ~memory;
        CHECK(((FLAGS("cmpl %2, (%1)", inverted, other) ^ FLAGS("cmpl %2, (%1)", &memory, other)) & COMPARED) == 0);
        CHECK(((FLAGS("cmpl (%1), %2", inverted, other) ^ FLAGS("cmpl (%1), %2", &memory, other)) & COMPARED) == 0);
        CHECK(((FLAGS("testl %2, (%1)", inverted, other) ^ FLAGS("testl %2, (%1)", &memory, other)) & TESTED) == 0);
    }
}

static void stepped(void)
{
    volatile uint32_t *id = registers, *inverted = registers + 1;
    uint32_t word = 0;
    asm volatile("orl (%1), %0" : "+r"(word) : "r"(id));
    CHECK(word == ID);
    word = 1;
    asm volatile("addl (%1), %0" : "+r"(word) : "r"(id));
    CHECK(word == ID + 1);
    *inverted = ~0xffu;
    asm volatile("lock addl $1, (%0)" : : "r"(inverted) : "memory");
    CHECK(*inverted == ~0x100u);
    *inverted = ~0x0fu;
    asm volatile("notl (%0)" : : "r"(inverted) : "memory");
    CHECK(*inverted == 0x0f);
    word = 3;
    *inverted = ~5u;
    asm volatile("xaddl %0, (%1)" : "+r"(word) : "r"(inverted) : "memory");
    CHECK(word == 5 && *inverted == ~8u);
    asm volatile("movd (%1), %%xmm0; movd %%xmm0, %0" : "=r"(word) : "r"(id) : "xmm0");
    CHECK(word == ID);
    asm volatile("movd %0, %%xmm1; movd %%xmm1, (%1)" : : "r"(~7u), "r"(inverted) : "xmm1", "memory");
    CHECK(*inverted == 7);
}

static void strings(void)
{
    uint32_t copy[2] = { 0 };
    const void *source = (const void *)registers;
    void *destination = copy;
    uint64_t count = 2;
    registers[1] = ~9u;
    asm volatile("rep movsl" : "+S"(source), "+D"(destination), "+c"(count) : : "memory");
    CHECK(copy[0] == ID && copy[1] == 9 && count == 0 && destination == copy + 2);
    destination = (void *)(registers + 1);
    count = 1;
    asm volatile("rep stosl" : "+D"(destination), "+c"(count) : "a"(~11u) : "memory");
    CHECK(registers[1] == 11);
}

static void *read_often(void *unused)
{
    for (int i = 0; i < 300; i++) {
        uint32_t word = 0;
        if (i & 1)
            asm volatile("orl (%1), %0" : "+r"(word) : "r"(registers));
        else
            word = registers[0];
        if (word != ID)
            __atomic_add_fetch(&failures, 1, __ATOMIC_RELAXED);
    }
    return unused;
}

static void threads_and_signals(void)
{
    pthread_t threads[3];
    signal(SIGALRM, on_alarm);
    ualarm(500, 500);
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, read_often, NULL);
    read_often(NULL);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    ualarm(0, 0);
    CHECK(alarms > 0);
}

static int end_of(pid_t child)
{
    int status;
    waitpid(child, &status, 0);
    return status;
}

static void processes(void)
{
    pid_t child = fork();
    if (child == 0)
        _exit(registers[0] == ID ? 7 : 1);
    CHECK(WEXITSTATUS(end_of(child)) == 7);

    // A fault of its own is the program's.
    child = fork();
    if (child == 0)
        *(volatile int *)8 = 1;
    CHECK(WTERMSIG(end_of(child)) == SIGSEGV);
    child = fork();
    if (child == 0) {
        FILE *empty = tmpfile();
        *(volatile char *)mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(empty), 0) = 1;
        _exit(0);
    }
    CHECK(WTERMSIG(end_of(child)) == SIGBUS);
}

// A descriptor that came over a socket has any number.
static int pass(int descriptor)
{
    int pair[2];
    char byte = 0, room[CMSG_SPACE(sizeof(int))] = { 0 };
    struct iovec data = { &byte, 1 };
    struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room };
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    *head = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
    memcpy(CMSG_DATA(head), &descriptor, sizeof(int));
    sendmsg(pair[0], &message, 0);
    recvmsg(pair[1], &message, 0);
    memcpy(&descriptor, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
    close(pair[0]);
    close(pair[1]);
    return descriptor;
}

// A file of /dev is the device that its path is; what a group gives is an anonymous file of no type (anon_inode_getfile of Linux).
static void kinds_of_files(int container, int group, int device)
{
    struct stat opened, named;
    CHECK(fstat(container, &opened) == 0 && stat("/dev/vfio/vfio", &named) == 0);
    CHECK(S_ISCHR(opened.st_mode) && opened.st_rdev == makedev(10, 196) && opened.st_ino == named.st_ino && opened.st_dev == named.st_dev);
    CHECK(fstat(group, &opened) == 0 && S_ISCHR(opened.st_mode) && minor(opened.st_rdev) == 1);
    CHECK(fstat(device, &opened) == 0 && (opened.st_mode & S_IFMT) == 0 && opened.st_nlink == 1);
    int file = open("/dev/vfio/devices/vfio0", O_RDWR), path = open("/dev/iommu", O_PATH), other = open("/dev/null", O_RDWR);
    struct statx extended;
    CHECK(statx(file, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &extended) == 0 && S_ISCHR(extended.stx_mode));
    CHECK(fstatat(path, "", &opened, AT_EMPTY_PATH) == 0 && S_ISCHR(opened.st_mode) && opened.st_rdev == makedev(10, 124));
    CHECK(syscall(SYS_fstat, dup(file), &opened) == 0 && S_ISCHR(opened.st_mode));
    CHECK(fstat(other, &opened) == 0 && opened.st_rdev == makedev(1, 3));
    CHECK(fstat(file, (void *)8) == -1 && fstat(-1, &opened) == -1);
    close(file);
    close(path);
    close(other);
}

static int run(int count, char **words)
{
    int container = open("/dev/vfio/vfio", O_RDWR), group = open("/dev/vfio/1", O_RDWR);
    CHECK(ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) == 0);
    CHECK(ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) == 0);
    int device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, "0000:01:00.0");
    CHECK(device >= 0);
    kinds_of_files(container, group, device);
    struct vfio_region_info bar = { .argsz = sizeof bar, .index = VFIO_PCI_BAR0_REGION_INDEX };
    struct vfio_region_info config = { .argsz = sizeof config, .index = VFIO_PCI_CONFIG_REGION_INDEX };
    CHECK(ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &bar) == 0);
    CHECK(ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &config) == 0);
    uint16_t memory = 2;
    CHECK(pwrite(device, &memory, sizeof memory, config.offset + 4) == sizeof memory);

    // Memory and eventfds are found through whichever thread asks.
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct vfio_iommu_type1_dma_map map = { sizeof map, VFIO_DMA_MAP_FLAG_READ, (uintptr_t)page, 0x1000, 4096 };
    CHECK(ioctl(container, VFIO_IOMMU_MAP_DMA, &map) == 0);
    struct { struct vfio_irq_set set; int32_t event; } bind = {
        { sizeof bind, VFIO_IRQ_SET_ACTION_TRIGGER | VFIO_IRQ_SET_DATA_EVENTFD, VFIO_PCI_MSI_IRQ_INDEX, 0, 1 }, eventfd(0, 0) };
    CHECK(ioctl(device, VFIO_DEVICE_SET_IRQS, &bind) == 0);

    uint32_t id[2] = { 0 };
    struct iovec parts[2] = { { &id[0], 4 }, { &id[1], 4 } };
    int passed = pass(device), low = dup2(device, 3 + (device == 3));
    CHECK(pread(passed, id, 4, bar.offset) == 4 && id[0] == ID);
    CHECK(preadv(low, parts, 2, bar.offset) == 8 && id[0] == ID);

    registers = mmap(NULL, bar.size, PROT_READ | PROT_WRITE, MAP_SHARED, passed, bar.offset);
    if (count > 1) {
        CHECK(registers == MAP_FAILED);
        return failures;
    }
    CHECK(registers != MAP_FAILED);
    CHECK(mmap(NULL, bar.size, PROT_READ, MAP_PRIVATE, device, bar.offset) == MAP_FAILED);
    loads_and_stores();
    flags();
    flags_are_the_processors();
    stepped();
    strings();
    threads_and_signals();
    processes();

    // The group has one opener, until the last descriptor and the last mapping are gone.
    close(passed);
    close(low);
    close(device);
    close(group);
    CHECK(open("/dev/vfio/1", O_RDWR) == -1);
    munmap((void *)registers, bar.size);
    CHECK(open("/dev/vfio/1", O_RDWR) >= 0);
    puts(failures == 0 ? words[0] : "failed");
    return failures;
}

static char **arguments;

// What a process can do does not depend on its first thread.
static void *run_alone(void *first)
{
    pthread_join(*(pthread_t *)first, NULL);
    exit(run(1, arguments));
}

int main(int count, char **words)
{
    if (count < 2 || strcmp(words[1], "alone") != 0)
        return run(count, words);
    static pthread_t first, second;
    first = pthread_self();
    arguments = words;
    pthread_create(&second, NULL, run_alone, &first);
    pthread_exit(NULL);
}
