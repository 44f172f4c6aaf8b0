/* A truth server: streams OpenAI-compatible answers on a fixed schedule, and logs what it really did.
 *
 * One thread, loopback only. A load generator that is measured against it says when it saw each token;
 * the log says when each token was written, on the same machine's CLOCK_REALTIME. What the server does
 * late is in the log too, so that its faults are not taken for the client's.
 *
 *   truth_server --port P --ttft-us N --gap-us N --tokens N --log FILE [--coalesce] [--stamp-arrivals]
 *
 * --port 0 takes a free port; the line "port N" on standard output names it. An answer has --tokens
 * tokens, or the request's max_tokens where that is fewer. The first write of a stream holds the
 * head, the role event and the first token; every other token is a write of its own, due --gap-us after
 * the one before was due; the finish and usage events and [DONE] follow the last token at once, in one
 * write. --coalesce writes the whole stream at the first token's instant in one write. --stamp-arrivals asks the kernel when a
 * request arrived; Linux then stamps every packet of the machine, the client's too. SIGTERM ends it.
 *
 * Serves POST /v1/chat/completions, POST /v1/completions (stream or not), GET /v1/models, GET /health;
 * else 404. No pipelining, no chunked request bodies.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum {
    MOST_TOKENS = 32768,
    MOST_FDS = 65536,
    MOST_REQUEST_BYTES = 16 << 20,
    EVENTS_A_TURN = 64,
};

/* ---- the log: 24 bytes a record, in the order of things; benchmarks/truth_log.py reads it ---- */

enum kind {
    READ = 1,   /* a request was fully read. late_ns: since its last segment reached the kernel, -1 unknown */
    TOKEN = 2,  /* just before a token is written. late_ns: after its deadline, as in the two below */
    WHOLE = 3,  /* just before a whole answer is written: --coalesce, or not streamed. token: how many */
    END = 4,    /* just before finish, usage and [DONE] are written */
    LEFT = 5,   /* the client closed before the answer was complete */
};

struct record {
    int64_t at_ns; /* CLOCK_REALTIME */
    int64_t late_ns;
    uint32_t request; /* N of the header x-request-id: truth-N */
    uint16_t kind;
    uint16_t token; /* from 0 */
};

static FILE *log_file;

static int64_t now(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void log_at(int64_t at_ns, int64_t late_ns, uint32_t request, enum kind kind, int token) {
    struct record record = {at_ns, late_ns, request, kind, (uint16_t)token};
    fwrite(&record, sizeof record, 1, log_file);
}

/* ---- what is said: rendered once, before the first connection ---- */

/* The stream of one API: the role event (chat alone), then the tokens, each as an HTTP chunk. */
struct script {
    const char *object;
    const char *token_choice; /* printf format with the token's number */
    const char *finish_choice; /* printf format with the finish reason */
    char *bytes;
    size_t ends[MOST_TOKENS]; /* where each token's chunk ends; the first holds the role event too */
};

static struct script chat = {
    .object = "chat.completion.chunk",
    .token_choice = "{\"index\":0,\"delta\":{\"content\":\" w%d\"},\"logprobs\":null,\"finish_reason\":null}",
    .finish_choice = "{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"%s\"}",
};
static struct script completion = {
    .object = "text_completion",
    .token_choice = "{\"index\":0,\"text\":\" w%d\",\"logprobs\":null,\"finish_reason\":null}",
    .finish_choice = "{\"index\":0,\"text\":\"\",\"logprobs\":null,\"finish_reason\":\"%s\"}",
};
static const char ROLE_CHOICE[] =
    "{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null,\"finish_reason\":null}";

static int64_t ttft_ns, gap_ns;
static int answer_tokens;
static int coalesce, stamp_arrivals;

/* One event as an HTTP chunk; answers its length. choice may be empty, usage may be NULL. */
static size_t event(char *to, const struct script *script, const char *choice, const char *usage) {
    char data[1024];
    int length = snprintf(data, sizeof data,
                          "data: {\"id\":\"truth\",\"object\":\"%s\",\"created\":1700000000,\"model\":\"m\","
                          "\"choices\":[%s]%s%s}\n\n",
                          script->object, choice, usage ? ",\"usage\":" : "", usage ? usage : "");
    return sprintf(to, "%x\r\n%s\r\n", (unsigned)length, data);
}

static void render(struct script *script, int with_role) {
    char choice[256];
    size_t length = 0;
    script->bytes = malloc(((size_t)answer_tokens + 1) * 512);
    if (with_role)
        length += event(script->bytes, script, ROLE_CHOICE, NULL);
    for (int token = 0; token < answer_tokens; token++) {
        snprintf(choice, sizeof choice, script->token_choice, token);
        length += event(script->bytes + length, script, choice, NULL);
        script->ends[token] = length;
    }
}

static const char *usage_of(int tokens) {
    static char text[128];
    snprintf(text, sizeof text, "{\"prompt_tokens\":10,\"completion_tokens\":%d,\"total_tokens\":%d}", tokens, tokens + 10);
    return text;
}

/* ---- connections, and which of them has a write due ---- */

struct connection {
    int fd;
    int open;
    /* What is being read. */
    char *in;
    size_t in_length, in_room;
    int64_t arrived_ns; /* the kernel's stamp of the last bytes read, 0 where it gave none */
    /* The answer that is being written; answering is 0 between requests. */
    int answering, streaming, close_after;
    uint32_t request;
    const struct script *script;
    int tokens, sent;
    const char *finish;
    int64_t due_ns; /* CLOCK_MONOTONIC */
    /* What the kernel did not take, because the client reads too slowly. */
    char *out;
    size_t out_length, out_room;
};

static struct connection *connections[MOST_FDS];
static int epoll_fd;
static uint32_t requests;

/* A binary heap by deadline. An entry whose request is over by then is skipped. */
struct due {
    int64_t at_ns;
    int fd;
    uint32_t request;
};
static struct due heap[MOST_FDS];
static int heap_length;

static void swap(int a, int b) {
    struct due kept = heap[a];
    heap[a] = heap[b];
    heap[b] = kept;
}

static void push(struct connection *c) {
    if (heap_length == MOST_FDS) {
        fputs("truth_server: too many deadlines\n", stderr);
        exit(1);
    }
    int place = heap_length++;
    heap[place] = (struct due){c->due_ns, c->fd, c->request};
    for (; place && heap[place].at_ns < heap[(place - 1) / 2].at_ns; place = (place - 1) / 2)
        swap(place, (place - 1) / 2);
}

static struct due pop(void) {
    struct due first = heap[0];
    heap[0] = heap[--heap_length];
    for (int place = 0;;) {
        int child = 2 * place + 1;
        if (child + 1 < heap_length && heap[child + 1].at_ns < heap[child].at_ns)
            child++;
        if (child >= heap_length || heap[place].at_ns <= heap[child].at_ns)
            return first;
        swap(place, child);
        place = child;
    }
}

static void watch(struct connection *c, uint32_t events) {
    struct epoll_event interest = {.events = events, .data.fd = c->fd};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &interest);
}

static void hang_up(struct connection *c) {
    if (c->answering)
        log_at(now(CLOCK_REALTIME), 0, c->request, LEFT, c->sent);
    close(c->fd);
    c->open = c->answering = 0;
    c->in_length = c->out_length = 0;
}

static void keep_unsent(struct connection *c, const char *bytes, size_t length) {
    if (c->out_length + length > c->out_room) {
        c->out_room = (c->out_length + length) * 2;
        c->out = realloc(c->out, c->out_room);
    }
    if (!c->out_length)
        watch(c, EPOLLIN | EPOLLOUT);
    memcpy(c->out + c->out_length, bytes, length);
    c->out_length += length;
}

/* Write the parts in one system call; what the kernel does not take waits in the connection. */
static void say(struct connection *c, struct iovec *parts, int count) {
    ssize_t taken = 0;
    if (!c->out_length) {
        taken = writev(c->fd, parts, count);
        if (taken < 0 && errno != EAGAIN) {
            hang_up(c);
            return;
        }
        taken = taken < 0 ? 0 : taken;
    }
    for (int i = 0; i < count; i++) {
        size_t gone = (size_t)taken < parts[i].iov_len ? (size_t)taken : parts[i].iov_len;
        taken -= gone;
        if (gone < parts[i].iov_len)
            keep_unsent(c, (char *)parts[i].iov_base + gone, parts[i].iov_len - gone);
    }
}

static void say_text(struct connection *c, const char *text, size_t length) {
    struct iovec part = {(void *)text, length};
    say(c, &part, 1);
}

static void flush_unsent(struct connection *c) {
    ssize_t taken = write(c->fd, c->out, c->out_length);
    if (taken < 0) {
        if (errno != EAGAIN)
            hang_up(c);
        return;
    }
    c->out_length -= taken;
    memmove(c->out, c->out + taken, c->out_length);
    if (!c->out_length)
        watch(c, EPOLLIN);
}

/* ---- answers ---- */

static size_t stream_head(char *to, size_t room, uint32_t request) {
    return snprintf(to, room,
                    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
                    "Transfer-Encoding: chunked\r\nx-request-id: truth-%u\r\n\r\n",
                    request);
}

/* Finish, usage, [DONE] and the last chunk. */
static size_t stream_tail(char *to, const struct connection *c) {
    char choice[256];
    snprintf(choice, sizeof choice, c->script->finish_choice, c->finish);
    size_t length = event(to, c->script, choice, NULL);
    length += event(to + length, c->script, "", usage_of(c->tokens));
    return length + sprintf(to + length, "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n");
}

static void answered(struct connection *c) {
    c->answering = 0;
    if (c->close_after && c->open)
        hang_up(c);
}

/* A whole stream in one write. */
static void say_whole_stream(struct connection *c, int64_t late_ns) {
    char head[512], tail[2048];
    struct iovec parts[3] = {
        {head, stream_head(head, sizeof head, c->request)},
        {c->script->bytes, c->script->ends[c->tokens - 1]},
        {tail, stream_tail(tail, c)},
    };
    log_at(now(CLOCK_REALTIME), late_ns, c->request, WHOLE, c->tokens);
    c->sent = c->tokens;
    say(c, parts, 3);
    answered(c);
}

/* A whole answer that is not streamed. */
static void say_json(struct connection *c, int64_t late_ns) {
    size_t room = 4096 + (size_t)c->tokens * 8, length = 0;
    char *body = malloc(room), head[512];
    int is_chat = c->script == &chat;
    length += sprintf(body, "{\"id\":\"truth\",\"object\":\"%s\",\"created\":1700000000,\"model\":\"m\",\"choices\":[{\"index\":0,%s",
                      is_chat ? "chat.completion" : "text_completion",
                      is_chat ? "\"message\":{\"role\":\"assistant\",\"content\":\"" : "\"text\":\"");
    for (int token = 0; token < c->tokens; token++)
        length += sprintf(body + length, " w%d", token);
    length += sprintf(body + length, "\"%s,\"logprobs\":null,\"finish_reason\":\"%s\"}],\"usage\":%s}", is_chat ? "}" : "",
                      c->finish, usage_of(c->tokens));
    struct iovec parts[2] = {{head, 0}, {body, length}};
    parts[0].iov_len = snprintf(head, sizeof head,
                                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                                "Content-Length: %zu\r\nx-request-id: truth-%u\r\n\r\n",
                                length, c->request);
    log_at(now(CLOCK_REALTIME), late_ns, c->request, WHOLE, c->tokens);
    c->sent = c->tokens;
    say(c, parts, 2);
    free(body);
    answered(c);
}

/* The next token of a stream, and after the last one its end. */
static void say_token(struct connection *c, int64_t late_ns) {
    char head[512], tail[2048];
    size_t start = c->sent ? c->script->ends[c->sent - 1] : 0;
    struct iovec parts[2] = {
        {head, c->sent ? 0 : stream_head(head, sizeof head, c->request)},
        {c->script->bytes + start, c->script->ends[c->sent] - start},
    };
    log_at(now(CLOCK_REALTIME), late_ns, c->request, TOKEN, c->sent++);
    say(c, parts, 2);
    if (!c->open)
        return;
    if (c->sent < c->tokens) {
        c->due_ns += gap_ns;
        push(c);
        return;
    }
    size_t length = stream_tail(tail, c);
    log_at(now(CLOCK_REALTIME), late_ns, c->request, END, c->tokens);
    say_text(c, tail, length);
    answered(c);
}

static void speak(struct connection *c) {
    int64_t late_ns = now(CLOCK_MONOTONIC) - c->due_ns;
    if (!c->streaming)
        say_json(c, late_ns);
    else if (coalesce)
        say_whole_stream(c, late_ns);
    else
        say_token(c, late_ns);
}

/* ---- requests ---- */

/* What follows `"key":` in a JSON text, or NULL. Inside a JSON string a quote is escaped, so a prompt
 * that holds the same words does not match. */
static const char *value_of(const char *json, const char *key) {
    char quoted[64];
    snprintf(quoted, sizeof quoted, "\"%s\"", key);
    for (const char *at = json; (at = strstr(at, quoted));) {
        at += strlen(quoted);
        const char *value = at + strspn(at, " \t\r\n");
        if (*value == ':')
            return value + 1 + strspn(value + 1, " \t\r\n");
    }
    return NULL;
}

static int number_of(const char *json, const char *key) {
    const char *value = value_of(json, key);
    return value ? atoi(value) : 0;
}

static void say_plain(struct connection *c, const char *status, const char *body) {
    char text[1024];
    int length = snprintf(text, sizeof text, "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                          status, strlen(body), body);
    say_text(c, text, length);
    if (c->close_after && c->open)
        hang_up(c);
}

/* A POST has been read: its answer takes its place among the deadlines. */
static void begin_answer(struct connection *c, const char *body, const struct script *script) {
    int64_t read_ns = now(CLOCK_REALTIME);
    const char *stream = value_of(body, "stream");
    int most = number_of(body, "max_tokens");
    if (!most)
        most = number_of(body, "max_completion_tokens");
    c->request = requests++;
    c->script = script;
    c->streaming = stream && !strncmp(stream, "true", 4);
    c->tokens = most > 0 && most < answer_tokens ? most : answer_tokens;
    c->finish = most > 0 && most <= answer_tokens ? "length" : "stop";
    c->sent = 0;
    c->answering = 1;
    log_at(read_ns, c->arrived_ns ? read_ns - c->arrived_ns : -1, c->request, READ, 0);
    c->due_ns = now(CLOCK_MONOTONIC) + ttft_ns;
    if (!c->streaming)
        c->due_ns += gap_ns * (c->tokens - 1);
    push(c);
}

static void serve(struct connection *c, const char *body) {
    c->close_after = strcasestr(c->in, "\r\nconnection: close\r\n") != NULL;
    if (!strncmp(c->in, "POST /v1/chat/completions ", 26))
        begin_answer(c, body, &chat);
    else if (!strncmp(c->in, "POST /v1/completions ", 21))
        begin_answer(c, body, &completion);
    else if (!strncmp(c->in, "GET /v1/models ", 15))
        say_plain(c, "200 OK",
                  "{\"object\":\"list\",\"data\":[{\"id\":\"m\",\"object\":\"model\",\"created\":1700000000,\"owned_by\":\"truth\"}]}");
    else if (!strncmp(c->in, "GET /health ", 12))
        say_plain(c, "200 OK", "{}");
    else
        say_plain(c, "404 Not Found", "{\"error\":{\"message\":\"no such path\",\"type\":\"not_found\",\"code\":404}}");
}

/* Serve the request in the buffer once all of it is there. */
static void look_for_request(struct connection *c) {
    char *head_end = strstr(c->in, "\r\n\r\n");
    if (!head_end)
        return;
    char *length_field = strcasestr(c->in, "\r\ncontent-length:");
    size_t body_length = length_field && length_field < head_end ? strtoul(length_field + 17, NULL, 10) : 0;
    char *body = head_end + 4;
    if (c->in_length < (size_t)(body - c->in) + body_length)
        return;
    body[-2] = '\0'; /* header look-ups end with the head, whose last line keeps its CRLF */
    serve(c, body);
    c->in_length = 0;
}

static ssize_t receive(struct connection *c) {
    union {
        char bytes[CMSG_SPACE(sizeof(struct timespec))];
        struct cmsghdr align;
    } control;
    if (c->in_room - c->in_length < 4096) {
        c->in_room = c->in_room ? c->in_room * 2 : 16384;
        c->in = realloc(c->in, c->in_room);
    }
    struct iovec part = {c->in + c->in_length, c->in_room - c->in_length - 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t length = recvmsg(c->fd, &message, 0);
    if (length <= 0)
        return length;
    c->in_length += length;
    c->in[c->in_length] = '\0';
    c->arrived_ns = 0;
    struct cmsghdr *stamp = CMSG_FIRSTHDR(&message);
    if (stamp && stamp->cmsg_level == SOL_SOCKET && stamp->cmsg_type == SCM_TIMESTAMPNS) {
        struct timespec t;
        memcpy(&t, CMSG_DATA(stamp), sizeof t);
        c->arrived_ns = t.tv_sec * 1000000000LL + t.tv_nsec;
    }
    return length;
}

static void hear(struct connection *c) {
    ssize_t length = receive(c);
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (length <= 0 || c->in_length > MOST_REQUEST_BYTES) {
        hang_up(c);
        return;
    }
    if (!c->answering)
        look_for_request(c);
}

static void welcome(int listener) {
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        if (fd >= MOST_FDS) {
            close(fd);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (!connections[fd])
            connections[fd] = calloc(1, sizeof *connections[fd]);
        connections[fd]->fd = fd;
        connections[fd]->open = 1;
        struct epoll_event interest = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &interest);
    }
}

/* ---- the loop ---- */

static volatile sig_atomic_t ending;

static void end(int signal) {
    (void)signal;
    ending = 1;
}

static int wait_for(struct epoll_event *events) {
    struct timespec wait = {0, 100000000};
    if (heap_length) {
        int64_t left_ns = heap[0].at_ns - now(CLOCK_MONOTONIC);
        left_ns = left_ns < 0 ? 0 : left_ns < 100000000 ? left_ns : 100000000;
        wait = (struct timespec){0, left_ns};
    }
    return epoll_pwait2(epoll_fd, events, EVENTS_A_TURN, &wait, NULL);
}

static void loop(int listener) {
    struct epoll_event events[EVENTS_A_TURN];
    int64_t flushed_ns = 0;
    while (!ending) {
        int count = wait_for(events);
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == listener) {
                welcome(listener);
                continue;
            }
            struct connection *c = connections[events[i].data.fd];
            if (c->open && (events[i].events & EPOLLOUT) && c->out_length)
                flush_unsent(c);
            if (c->open && (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
                hear(c);
        }
        /* One write between two looks at the sockets: a request does not wait to be read. */
        if (heap_length && heap[0].at_ns <= now(CLOCK_MONOTONIC)) {
            struct due first = pop();
            struct connection *c = connections[first.fd];
            if (c->open && c->answering && c->request == first.request)
                speak(c);
        }
        if (count == 0 && now(CLOCK_MONOTONIC) - flushed_ns > 1000000000) {
            fflush(log_file);
            flushed_ns = now(CLOCK_MONOTONIC);
        }
    }
}

static int listen_on(int port) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (stamp_arrivals)
        setsockopt(listener, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on); /* accepted sockets inherit it */
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 65535)) {
        perror("truth_server: listen");
        exit(1);
    }
    getsockname(listener, (struct sockaddr *)&address, &length);
    printf("port %d\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

static const char *USAGE = "usage: truth_server --port P --ttft-us N --gap-us N --tokens N --log FILE\n"
                           "                    [--coalesce] [--stamp-arrivals]\n";

int main(int count, char **words) {
    static const struct option options[] = {
        {"port", required_argument, NULL, 'p'},   {"ttft-us", required_argument, NULL, 't'},
        {"gap-us", required_argument, NULL, 'g'}, {"tokens", required_argument, NULL, 'n'},
        {"log", required_argument, NULL, 'l'},    {"coalesce", no_argument, &coalesce, 1},
        {"stamp-arrivals", no_argument, &stamp_arrivals, 1}, {NULL, 0, NULL, 0},
    };
    int port = -1, option;
    const char *log_path = NULL;
    while ((option = getopt_long(count, words, "", options, NULL)) != -1) {
        switch (option) {
        case 'p': port = atoi(optarg); break;
        case 't': ttft_ns = atoll(optarg) * 1000; break;
        case 'g': gap_ns = atoll(optarg) * 1000; break;
        case 'n': answer_tokens = atoi(optarg); break;
        case 'l': log_path = optarg; break;
        case 0: break;
        default: fputs(USAGE, stderr); return 2;
        }
    }
    if (port < 0 || port > 65535 || answer_tokens < 1 || answer_tokens > MOST_TOKENS || !log_path || ttft_ns < 0 || gap_ns < 0) {
        fputs(USAGE, stderr);
        return 2;
    }
    log_file = fopen(log_path, "wb");
    if (!log_file) {
        perror("truth_server: log");
        return 1;
    }
    setvbuf(log_file, NULL, _IOFBF, 65536);

    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    prctl(PR_SET_TIMERSLACK, 1UL); /* 50 us otherwise */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, end);
    signal(SIGINT, end);

    render(&chat, 1);
    render(&completion, 0);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    int listener = listen_on(port);
    struct epoll_event interest = {.events = EPOLLIN, .data.fd = listener};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &interest);
    loop(listener);
    return fclose(log_file) ? 1 : 0;
}
