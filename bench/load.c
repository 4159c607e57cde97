/*
 * Boot clients by the thousand, in one thread: the load of the benchmark.
 *
 * Each job goes through the phases that it is given, a letter each:
 *
 *   D   DISCOVER, OFFER, REQUEST, ACK as UEFI firmware that boots over PXE, through a relay (giaddr is --source)
 *   I   the same as iPXE
 *   T   a TFTP read of --file with --blksize and --window
 *   H   an HTTP GET of --path on a connection of its own
 *   R   an HTTP GET of --path in ranges of --range bytes on one connection
 *
 * --slots jobs are under way at a time, --jobs in all.  A job's TFTP and HTTP come from the address that it was lent, or
 * else from the one that --pool gives it, so that a server counts it as a client.  Where a packet is lost, also by
 * --loss (parts in a thousand of the TFTP packets, both ways, by --seed), the client sends its last one again after
 * --patience milliseconds, and gives up after ten times.
 *
 * Prints one line of JSON: how many jobs came to their end, the time, the bytes, the retries, the CPU time taken
 * here, and percentiles of the time that a job took, in milliseconds.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { AWAKE = 4 };
enum { MAX_TRIES = 10, PACKET_MAX = 65536, HEADER_MAX = 4096 };
enum { OPT_DISCOVER = 1, OPT_OFFER, OPT_REQUEST, OPT_DECLINE, OPT_ACK, OPT_NAK };

struct job {
    int number;         /* which of all jobs: its MAC, its place in the pool */
    int phase;          /* index into the phases; -1 when the slot is free */
    int fd;             /* of this phase's socket, or -1 */
    int tries;
    double began, phase_began, deadline;
    uint32_t xid, address, offered, server_id;
    /* TFTP: what was sent last, the last block in order, blocks since the last ACK, whether a gap was told of */
    unsigned char sent[600];
    int sent_size;
    uint32_t block, since_ack;
    int gap_told, connected;
    /* HTTP */
    char header[HEADER_MAX];
    int header_size, head_done;
    long long left, position;
    int previous, next; /* the list of jobs by deadline */
};

static const char *phases = "T", *file_name = "file", *path = "/";
static struct sockaddr_in server, source;
static int slots = 1, jobs = 1, blksize = 1428, window = 1, http_port = 8080, loss, first_job;
static uint32_t pool;
static long long range_bytes = 1 << 20, file_bytes;
static double patience = 2.0;
static unsigned seed = 1;

static struct job *table;
static double *taken;
static int started, ended, failed, epoll_fd, dhcp_fd = -1;
static long long bytes, retries;
static unsigned char packet[PACKET_MAX];
static int head = -1, tail = -1; /* all waits are equally long, so the list is in order of time */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void die(const char *what)
{
    perror(what);
    exit(2);
}

static int lost(void)
{
    if (!loss)
        return 0;
    seed = seed * 1103515245u + 12345u;
    return (int)((seed >> 16) % 1000) < loss;
}

static void start_phase(struct job *job);

static void unlink_job(struct job *job)
{
    if (job->deadline == 0)
        return;
    if (job->previous >= 0) table[job->previous].next = job->next; else head = job->next;
    if (job->next >= 0) table[job->next].previous = job->previous; else tail = job->previous;
    job->deadline = 0;
}

static void wait_again(struct job *job)
{
    unlink_job(job);
    job->deadline = now() + patience;
    job->previous = tail;
    job->next = -1;
    if (tail >= 0) table[tail].next = job - table; else head = job - table;
    tail = job - table;
}

static void close_socket(struct job *job)
{
    if (job->fd >= 0)
        close(job->fd);
    job->fd = -1;
}

static void begin(struct job *job)
{
    if (started >= jobs) {
        job->phase = -1;
        return;
    }
    job->number = first_job + started++;
    job->phase = 0;
    job->began = now();
    job->address = pool ? pool + job->number : ntohl(source.sin_addr.s_addr);
    start_phase(job);
}

static void finish(struct job *job, int well)
{
    close_socket(job);
    unlink_job(job);
    if (well)
        taken[ended++] = now() - job->began;
    else
        failed++;
    begin(job);
}

static void next_phase(struct job *job)
{
    close_socket(job);
    unlink_job(job);
    if (phases[++job->phase])
        start_phase(job);
    else
        finish(job, 1);
}

/* Slot and descriptor, so that an event of a socket that was closed meanwhile is not taken for its successor's. */
static uint64_t mark(const struct job *job)
{
    return (uint64_t)job->fd << 32 | (uint32_t)(job - table);
}

static void watch(struct job *job, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.u64 = mark(job) };
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, job->fd, &event))
        die("epoll_ctl");
}

static void open_socket(struct job *job, int type)
{
    struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(job->address) };
    int size = 1 << 20, one = 1;
    job->fd = socket(AF_INET, type | SOCK_NONBLOCK, 0);
    if (job->fd < 0)
        die("socket");
    if (type == SOCK_DGRAM) {
        setsockopt(job->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
        /* What a server sends in one piece may come in one piece, whoever it is: else cutting it up is what is measured. */
        setsockopt(job->fd, IPPROTO_UDP, UDP_GRO, &one, sizeof one);
    }
    if (bind(job->fd, (struct sockaddr *)&from, sizeof from))
        die("bind");
}

/* --- DHCP --- */

static unsigned char *option(unsigned char *at, int code, int size, const void *value)
{
    *at++ = code;
    *at++ = size;
    memcpy(at, value, size);
    return at + size;
}

static void dhcp_send(struct job *job, int kind)
{
    unsigned char m[600] = { 1, 1, 6, 1 }, *at = m + 240, type = kind;
    static const unsigned char asked[] = { 1, 3, 6, 12, 15, 43, 54, 60, 66, 67, 97 }, arch[] = { 0, 7 };
    static const unsigned char features[] = { 0x13, 1, 1, 0x24, 1, 1, 0x15, 1, 1 };
    unsigned char uuid[17] = { 0, 1, 2, 3 };
    uint32_t number = htonl(job->number), xid = htonl(job->xid), value;
    memcpy(m + 4, &xid, 4);
    memcpy(m + 24, &source.sin_addr.s_addr, 4);
    m[28] = 0x52, m[29] = 0x54;
    memcpy(m + 30, &number, 4);
    memcpy(uuid + 13, &number, 4);
    memcpy(m + 236, "\x63\x82\x53\x63", 4);
    at = option(at, 53, 1, &type);
    if (kind == OPT_REQUEST) {
        value = htonl(job->offered);
        at = option(at, 50, 4, &value);
        at = option(at, 54, 4, &job->server_id);
    }
    at = option(at, 55, sizeof asked, asked);
    at = option(at, 57, 2, "\x05\xc0");
    at = option(at, 60, 32, "PXEClient:Arch:00007:UNDI:003016");
    at = option(at, 93, 2, arch);
    at = option(at, 94, 3, "\x01\x03\x10");
    at = option(at, 97, 17, uuid);
    if (phases[job->phase] == 'I') {
        at = option(at, 77, 4, "iPXE");
        at = option(at, 175, sizeof features, features);
    }
    *at++ = 255;
    if (sendto(dhcp_fd, m, at - m, 0, (struct sockaddr *)&server, sizeof server) < 0 && errno != EAGAIN)
        die("sending to port 67");
    wait_again(job);
}

static void dhcp_receive(void)
{
    for (;;) {
        ssize_t size = recv(dhcp_fd, packet, sizeof packet, 0);
        uint32_t xid, server_id = 0;
        int kind = 0;
        struct job *job;
        if (size < 241) {
            if (size < 0)
                return;
            continue;
        }
        memcpy(&xid, packet + 4, 4);
        xid = ntohl(xid);
        job = &table[xid % slots];
        if (job->phase < 0 || job->xid != xid || !strchr("DI", phases[job->phase]))
            continue;
        for (unsigned char *at = packet + 240, *end = packet + size; at + 1 < end && *at != 255; at += 2 + at[1]) {
            if (*at == 0) { at--; continue; }
            if (*at == 53) kind = at[2];
            if (*at == 54) memcpy(&server_id, at + 2, 4);
        }
        if (kind == OPT_OFFER && !job->offered) {
            memcpy(&job->offered, packet + 16, 4);
            job->offered = ntohl(job->offered);
            job->server_id = server_id;
            dhcp_send(job, OPT_REQUEST);
        } else if (kind == OPT_ACK && job->offered) {
            job->address = job->offered;
            next_phase(job);
        } else if (kind == OPT_NAK && job->offered) {
            if (++job->tries > MAX_TRIES) {
                finish(job, 0);
                continue;
            }
            retries++; /* from the start, as RFC 2131 has it */
            job->offered = 0;
            dhcp_send(job, OPT_DISCOVER);
        }
    }
}

/* --- TFTP --- */

static void tftp_send(struct job *job)
{
    if (!lost()) {
        if (job->connected)
            send(job->fd, job->sent, job->sent_size, 0);
        else {
            struct sockaddr_in to = server;
            to.sin_port = htons(69);
            sendto(job->fd, job->sent, job->sent_size, 0, (struct sockaddr *)&to, sizeof to);
        }
    }
    wait_again(job);
}

static void tftp_ack(struct job *job)
{
    job->sent[0] = 0, job->sent[1] = 4, job->sent[2] = job->block >> 8, job->sent[3] = job->block;
    job->sent_size = 4;
    job->since_ack = 0;
    tftp_send(job);
}

static void tftp_start(struct job *job)
{
    char *at = (char *)job->sent, number[16];
    *at++ = 0, *at++ = 1;
    at = stpcpy(at, file_name) + 1;
    at = stpcpy(at, "octet") + 1;
    at = stpcpy(at, "blksize") + 1;
    snprintf(number, sizeof number, "%d", blksize);
    at = stpcpy(at, number) + 1;
    if (window > 1) {
        at = stpcpy(at, "windowsize") + 1;
        snprintf(number, sizeof number, "%d", window);
        at = stpcpy(at, number) + 1;
    }
    job->sent_size = at - (char *)job->sent;
    job->block = job->since_ack = job->gap_told = job->connected = 0;
    job->left = window; /* until an OACK says less, and 1 if none comes */
    open_socket(job, SOCK_DGRAM);
    watch(job, EPOLLIN);
    tftp_send(job);
}

static int oack_window(const unsigned char *at, const unsigned char *end)
{
    while (at < end) {
        const char *name = (const char *)at;
        const char *value = name + strnlen(name, end - at) + 1;
        if ((const unsigned char *)value >= end)
            break;
        if (!strcasecmp(name, "windowsize"))
            return atoi(value);
        at = (const unsigned char *)value + strnlen(value, end - (const unsigned char *)value) + 1;
    }
    return 1;
}

/* One packet; `at[size]` may be written.  Whether the job goes on with its phase. */
static int tftp_take(struct job *job, unsigned char *at, ssize_t size)
{
    if (size < 4 || lost())
        return 1;
    if (at[1] == 5) {
        at[size] = 0;
        fprintf(stderr, "TFTP error %d: %s\n", at[3], at + 4);
        finish(job, 0);
        return 0;
    }
    if (at[1] == 6) {
        job->left = oack_window(at + 2, at + size);
        if (job->block == 0)
            tftp_ack(job);
    } else if (at[1] == 3) {
        if ((uint32_t)(at[2] << 8 | at[3]) != ((job->block + 1) & 0xffff)) {
            if (job->left > 1 && !job->gap_told) {
                job->gap_told = 1;
                tftp_ack(job);
            }
            return 1;
        }
        job->block++;
        job->since_ack++;
        job->gap_told = job->tries = 0;
        bytes += size - 4;
        if (size - 4 < blksize) {
            tftp_ack(job);
            next_phase(job);
            return 0;
        }
        if (job->since_ack >= job->left)
            tftp_ack(job);
    }
    return 1;
}

/* How long each packet is of those that came in one piece (UDP_GRO), `all` when it is one. */
static ssize_t segment_bytes(struct msghdr *message, ssize_t all)
{
    for (struct cmsghdr *each = CMSG_FIRSTHDR(message); each; each = CMSG_NXTHDR(message, each))
        if (each->cmsg_level == IPPROTO_UDP && each->cmsg_type == UDP_GRO) {
            int size;
            memcpy(&size, CMSG_DATA(each), sizeof size);
            return size;
        }
    return all;
}

static void tftp_receive(struct job *job)
{
    for (;;) {
        struct sockaddr_in from;
        _Alignas(struct cmsghdr) char control[64];
        struct iovec room = { packet, PACKET_MAX - 1 };
        struct msghdr message = { .msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &room, .msg_iovlen = 1,
                                  .msg_control = control, .msg_controllen = sizeof control };
        ssize_t size = recvmsg(job->fd, &message, 0), each;
        if (size < 0)
            return;
        if (!job->connected) {
            if (connect(job->fd, (struct sockaddr *)&from, sizeof from))
                die("connect");
            job->connected = 1;
        }
        each = segment_bytes(&message, size);
        for (ssize_t at = 0; at < size; at += each)
            if (!tftp_take(job, packet + at, size - at < each ? size - at : each))
                return;
    }
}

/* --- HTTP --- */

static void http_ask(struct job *job)
{
    char text[1024], range[96] = "";
    struct in_addr to = server.sin_addr;
    if (phases[job->phase] == 'R') {
        long long last = job->position + range_bytes - 1;
        if (last >= file_bytes)
            last = file_bytes - 1;
        snprintf(range, sizeof range, "Range: bytes=%lld-%lld\r\n", job->position, last);
    }
    int size = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: %s:%d\r\n%s%s\r\n", path, inet_ntoa(to), http_port,
                        range, *range ? "" : "Connection: close\r\n");
    job->header_size = job->head_done = 0;
    if (send(job->fd, text, size, MSG_NOSIGNAL) != size)
        finish(job, 0);
    else
        wait_again(job);
}

static void http_start(struct job *job)
{
    struct sockaddr_in to = server;
    int one = 1;
    to.sin_port = htons(http_port);
    open_socket(job, SOCK_STREAM);
    setsockopt(job->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(job->fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS)
        die("connect");
    job->connected = 0;
    job->position = 0;
    watch(job, EPOLLIN | EPOLLOUT);
    wait_again(job);
}

static void http_answer_ended(struct job *job)
{
    if (phases[job->phase] == 'R') {
        job->position += range_bytes;
        if (job->position < file_bytes) {
            http_ask(job);
            return;
        }
    }
    next_phase(job);
}

static void http_ready(struct job *job, uint32_t events)
{
    int self_phase = job->phase, self_number = job->number;
    if (!job->connected && (events & EPOLLOUT)) {
        struct epoll_event event = { .events = EPOLLIN, .data.u64 = mark(job) };
        job->connected = 1;
        epoll_ctl(epoll_fd, EPOLL_CTL_MOD, job->fd, &event);
        http_ask(job);
    }
    while (job->phase == self_phase && job->number == self_number && job->fd >= 0) {
        if (!job->head_done) {
            ssize_t size = recv(job->fd, job->header + job->header_size, HEADER_MAX - 1 - job->header_size, MSG_PEEK);
            char *end, *length;
            int before = job->header_size;
            if (size <= 0) {
                if (size == 0 || errno != EAGAIN)
                    finish(job, 0);
                return;
            }
            job->header[before + size] = 0;
            end = strstr(job->header, "\r\n\r\n");
            if (!end) {
                job->header_size += recv(job->fd, job->header + before, size, 0);
                continue;
            }
            recv(job->fd, packet, end + 4 - (job->header + before), 0);
            length = strcasestr(job->header, "\r\nContent-Length:");
            if (strncmp(job->header, "HTTP/1.1 20", 11) || !length || length > end) {
                fprintf(stderr, "HTTP answer: %.60s\n", job->header);
                finish(job, 0);
                return;
            }
            job->left = atoll(length + 17);
            job->head_done = 1;
        }
        while (job->left > 0) {
            /* MSG_TRUNC: the kernel drops the bytes instead of copying them, so that counting costs next to nothing */
            ssize_t size = recv(job->fd, NULL, job->left < (1 << 20) ? job->left : 1 << 20, MSG_TRUNC);
            if (size <= 0) {
                if (size == 0 || errno != EAGAIN)
                    finish(job, 0);
                else
                    wait_again(job);
                return;
            }
            job->left -= size;
            bytes += size;
        }
        http_answer_ended(job);
    }
}

/* --- all --- */

static void start_phase(struct job *job)
{
    static uint32_t generation;
    job->tries = 0;
    job->phase_began = now();
    switch (phases[job->phase]) {
    case 'D':
    case 'I':
        job->xid = ++generation % (0x7fffffff / slots) * slots + (job - table);
        job->offered = 0;
        dhcp_send(job, OPT_DISCOVER);
        break;
    case 'T':
        tftp_start(job);
        break;
    default:
        http_start(job);
    }
}

static void expire(struct job *job)
{
    if (++job->tries > MAX_TRIES) {
        finish(job, 0);
        return;
    }
    switch (phases[job->phase]) {
    case 'D':
    case 'I':
        retries++;
        dhcp_send(job, job->offered ? OPT_REQUEST : OPT_DISCOVER);
        break;
    case 'T':
        retries++;
        job->gap_told = 0;
        tftp_send(job);
        break;
    default:
        wait_again(job); /* TCP sends again by itself */
    }
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double percentile(double share)
{
    return ended ? taken[(int)(share * (ended - 1))] * 1e3 : 0;
}

static void open_dhcp(void)
{
    int size = 8 << 20;
    struct sockaddr_in from = source;
    struct epoll_event event = { .events = EPOLLIN, .data.u64 = UINT64_MAX };
    dhcp_fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    from.sin_port = htons(67);
    setsockopt(dhcp_fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    if (bind(dhcp_fd, (struct sockaddr *)&from, sizeof from))
        die("bind to port 67");
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, dhcp_fd, &event))
        die("epoll_ctl");
}

static void read_arguments(int argc, char **argv)
{
    static const struct option names[] = {
        { "phases", 1, 0, 'p' },  { "server", 1, 0, 's' }, { "source", 1, 0, 'f' }, { "pool", 1, 0, 'o' },
        { "slots", 1, 0, 'n' },   { "jobs", 1, 0, 'j' },   { "file", 1, 0, 't' },   { "blksize", 1, 0, 'b' },
        { "window", 1, 0, 'w' },  { "loss", 1, 0, 'l' },   { "seed", 1, 0, 'e' },   { "path", 1, 0, 'u' },
        { "port", 1, 0, 'q' },    { "range", 1, 0, 'r' },  { "bytes", 1, 0, 'y' },  { "patience", 1, 0, 'a' },
        { "first", 1, 0, 'i' },   { 0, 0, 0, 0 },
    };
    int letter;
    struct in_addr address;
    while ((letter = getopt_long(argc, argv, "", names, NULL)) != -1)
        switch (letter) {
        case 'p': phases = optarg; break;
        case 's': inet_aton(optarg, &server.sin_addr); break;
        case 'f': inet_aton(optarg, &source.sin_addr); break;
        case 'o': inet_aton(optarg, &address); pool = ntohl(address.s_addr); break;
        case 'n': slots = atoi(optarg); break;
        case 'j': jobs = atoi(optarg); break;
        case 't': file_name = optarg; break;
        case 'b': blksize = atoi(optarg); break;
        case 'w': window = atoi(optarg); break;
        case 'l': loss = atoi(optarg); break;
        case 'e': seed = atoi(optarg); break;
        case 'u': path = optarg; break;
        case 'q': http_port = atoi(optarg); break;
        case 'r': range_bytes = atoll(optarg); break;
        case 'y': file_bytes = atoll(optarg); break;
        case 'a': patience = atof(optarg) / 1e3; break;
        case 'i': first_job = atoi(optarg); break;
        default: exit(2);
        }
    if (slots < 1 || jobs < 1 || strlen(file_name) > 400 || strlen(path) > 500 || strspn(phases, "DITHR") != strlen(phases)) {
        fputs("usage: load --server ADDRESS --source ADDRESS --phases DTIH ...; see the top of load.c\n", stderr);
        exit(2);
    }
    if (slots > jobs)
        slots = jobs;
    server.sin_family = source.sin_family = AF_INET;
    server.sin_port = htons(67);
}

int main(int argc, char **argv)
{
    struct epoll_event events[512];
    struct rusage usage;
    struct rlimit files = { 65536, 65536 };
    double start, seconds;
    read_arguments(argc, argv);
    setrlimit(RLIMIT_NOFILE, &files);
    table = calloc(slots, sizeof *table);
    taken = calloc(jobs, sizeof *taken);
    epoll_fd = epoll_create1(0);
    if (strpbrk(phases, "DI"))
        open_dhcp();
    for (int slot = 0; slot < slots; slot++)
        table[slot].fd = table[slot].phase = -1;
    start = now();
    for (int slot = 0; slot < slots; slot++)
        begin(&table[slot]);
    while (ended + failed < jobs) {
        double wait = head >= 0 ? table[head].deadline - now() : 1;
        /* A few clients do not sleep: waking up here takes longer than a server needs for its answer. */
        int count = epoll_wait(epoll_fd, events, 512, wait > 0 && slots > AWAKE ? (int)(wait * 1e3) + 1 : 0);
        for (int i = 0; i < count; i++) {
            struct job *job;
            if (events[i].data.u64 == UINT64_MAX) {
                dhcp_receive();
                continue;
            }
            job = &table[(uint32_t)events[i].data.u64];
            if (job->phase < 0 || job->fd < 0 || mark(job) != events[i].data.u64)
                continue;
            if (phases[job->phase] == 'T')
                tftp_receive(job);
            else
                http_ready(job, events[i].events);
        }
        while (head >= 0 && table[head].deadline <= now())
            expire(&table[head]);
    }
    seconds = now() - start;
    getrusage(RUSAGE_SELF, &usage);
    qsort(taken, ended, sizeof *taken, by_size);
    printf("{\"ended\": %d, \"failed\": %d, \"seconds\": %.6f, \"bytes\": %lld, \"retries\": %lld, \"cpu_s\": %.3f, "
           "\"p50_ms\": %.3f, \"p99_ms\": %.3f, \"max_ms\": %.3f}\n",
           ended, failed, seconds, bytes, retries,
           usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6,
           percentile(0.5), percentile(0.99), percentile(1.0));
    return 0;
}
