/* A driver library for tests: what each call answers is read from the environment.
 *
 * GPUS is the number of GPUs (1), MIG that of MIG devices on GPU 0 (0). NVML_RECORDING is a file of
 * lines "SECONDS GPU READING VALUE" (# comments): a reading has the value of its last line whose time
 * is over, counted from the first call; GPU is 0, 1 ... or 0/1 for MIG device 1 on GPU 0. READING is
 * one of the names below. NVML_SPEED makes its time pass faster. What it does not name is as built in.
 * POWER_MW and ENERGY_MJ are sequences instead ("100,200"), one step a call and GPU, the last one
 * repeated; GPU n adds n * 1000. PROCESSES is "pid:bytes,pid:bytes" (bytes "none": the driver does not
 * say) on GPU 0, or on its first MIG device.
 *
 * FAIL_<function>=code makes a call fail, HANG_<function>=1 makes it never return; with
 * AFTER_<function>=n only after n calls that went well.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef unsigned long long u64;

#define MAYBE_FAIL()                                     \
    do {                                                 \
        static int calls;                                \
        int code = trouble(__func__, calls++);           \
        if (code) return code;                           \
    } while (0)
#define NOT_ON_MIG() do { if (gpu->mig >= 0) return 3; } while (0)

struct gpu { int index, mig, power_calls, energy_calls; };
static struct gpu gpus[8], migs[8];

static const char *variable(const char *what, const char *function) {
    char name[160];
    snprintf(name, sizeof name, "%s_%s", what, function);
    return getenv(name);
}

static int trouble(const char *function, int calls) {
    const char *after = variable("AFTER", function), *code = variable("FAIL", function);
    if (after && calls < atoi(after)) return 0;
    if (variable("HANG", function)) for (;;) pause();
    return code ? atoi(code) : 0;
}

static u64 step(const char *sequence, int call, int index) {
    const char *at = getenv(sequence);
    if (!at) return 0;
    for (; call > 0 && strchr(at, ','); call--) at = strchr(at, ',') + 1;
    return strtoull(at, 0, 10) + 1000ull * index;
}

static double seconds(void) {
    static double start;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    double at = now.tv_sec + now.tv_nsec / 1e9;
    if (!start) start = at;
    return (at - start) * (getenv("NVML_SPEED") ? atof(getenv("NVML_SPEED")) : 1);
}

static u64 recorded(struct gpu *gpu, const char *reading, u64 built_in) {
    const char *path = getenv("NVML_RECORDING");
    FILE *file = path ? fopen(path, "r") : 0;
    if (!file) return built_in;
    char line[256], own[32], at[32], name[64];
    double when, now = seconds();
    long long value;
    snprintf(own, sizeof own, gpu->mig >= 0 ? "%d/%d" : "%d", gpu->index, gpu->mig);
    while (fgets(line, sizeof line, file))
        if (line[0] != '#' && atof(line) <= now && strstr(line, reading) && sscanf(line, "%lf %31s %63s %lld", &when, at, name, &value) == 4
            && when <= now && !strcmp(at, own) && !strcmp(name, reading))
            built_in = (u64)value;
    fclose(file);
    return built_in;
}

int nvmlInitWithFlags(unsigned flags) { MAYBE_FAIL(); (void)flags; return 0; }
int nvmlShutdown(void) { MAYBE_FAIL(); return 0; }
int nvmlDeviceGetCount_v2(unsigned *count) {
    MAYBE_FAIL();
    *count = atoi(getenv("GPUS") ? getenv("GPUS") : "1");
    return 0;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, struct gpu **gpu) {
    MAYBE_FAIL();
    gpus[index].index = index;
    gpus[index].mig = -1;
    *gpu = &gpus[index];
    return 0;
}
int nvmlDeviceGetMigMode(struct gpu *gpu, unsigned *current, unsigned *pending) {
    MAYBE_FAIL();
    *current = *pending = gpu->index == 0 && getenv("MIG") ? 1 : 0;
    return 0;
}
int nvmlDeviceGetMaxMigDeviceCount(struct gpu *gpu, unsigned *count) {
    MAYBE_FAIL();
    (void)gpu;
    *count = 7;
    return 0;
}
/* MIG devices lie on every other place, as after one in the middle was destroyed. */
int nvmlDeviceGetMigDeviceHandleByIndex(struct gpu *gpu, unsigned index, struct gpu **mig) {
    MAYBE_FAIL();
    if (index % 2 || (int)index / 2 >= atoi(getenv("MIG"))) return 6;
    migs[index].index = gpu->index;
    migs[index].mig = (int)index;
    *mig = &migs[index];
    return 0;
}
int nvmlDeviceGetName(struct gpu *gpu, char *name, unsigned size) {
    MAYBE_FAIL();
    snprintf(name, size, "Fake GPU %d", gpu->index);
    return 0;
}
int nvmlSystemGetDriverVersion(char *text, unsigned size) {
    MAYBE_FAIL();
    snprintf(text, size, "999.1");
    return 0;
}
int nvmlDeviceGetUtilizationRates(struct gpu *gpu, unsigned rates[2]) {
    MAYBE_FAIL();
    NOT_ON_MIG();
    rates[0] = (unsigned)recorded(gpu, "util_percent", 42 + gpu->index);
    rates[1] = (unsigned)recorded(gpu, "memory_util_percent", 7);
    return 0;
}
int nvmlDeviceGetMemoryInfo(struct gpu *gpu, u64 total_free_used[3]) {
    MAYBE_FAIL();
    total_free_used[0] = recorded(gpu, "memory_total_bytes", 1000);
    total_free_used[2] = recorded(gpu, "memory_used_bytes", 600 + gpu->index);
    total_free_used[1] = total_free_used[0] - total_free_used[2];
    return 0;
}
int nvmlDeviceGetPowerUsage(struct gpu *gpu, unsigned *milliwatts) {
    MAYBE_FAIL();
    NOT_ON_MIG();
    u64 next = step("POWER_MW", gpu->power_calls++, gpu->index);
    *milliwatts = (unsigned)recorded(gpu, "power_mw", next);
    return 0;
}
int nvmlDeviceGetEnforcedPowerLimit(struct gpu *gpu, unsigned *milliwatts) {
    MAYBE_FAIL();
    NOT_ON_MIG();
    *milliwatts = (unsigned)recorded(gpu, "power_limit_mw", 700000);
    return 0;
}
int nvmlDeviceGetTotalEnergyConsumption(struct gpu *gpu, u64 *millijoules) {
    MAYBE_FAIL();
    NOT_ON_MIG();
    u64 next = step("ENERGY_MJ", gpu->energy_calls++, gpu->index);
    *millijoules = recorded(gpu, "energy_mj", next);
    return 0;
}
int nvmlDeviceGetClockInfo(struct gpu *gpu, int type, unsigned *mhz) {
    MAYBE_FAIL();
    NOT_ON_MIG();
    *mhz = type == 1 ? (unsigned)recorded(gpu, "sm_clock_mhz", 1500 + gpu->index)
                     : (unsigned)recorded(gpu, "memory_clock_mhz", 2600 + gpu->index);
    return 0;
}
int nvmlDeviceGetTemperature(struct gpu *gpu, int sensor, unsigned *celsius) {
    MAYBE_FAIL();
    NOT_ON_MIG();
    *celsius = (unsigned)recorded(gpu, "temperature_c", 55 + gpu->index + sensor);
    return 0;
}
#ifdef OLD_DRIVER
int nvmlDeviceGetCurrentClocksThrottleReasons(struct gpu *gpu, u64 *mask)
#else
int nvmlDeviceGetCurrentClocksEventReasons(struct gpu *gpu, u64 *mask)
#endif
{
    MAYBE_FAIL();
    NOT_ON_MIG();
    *mask = recorded(gpu, "throttle_bits", gpu->index ? 0 : 4);
    return 0;
}
int nvmlDeviceGetPcieThroughput(struct gpu *gpu, int received, unsigned *kb_per_s) {
    MAYBE_FAIL();
    *kb_per_s = received ? (unsigned)recorded(gpu, "pcie_received_kb_per_s", 300)
                         : (unsigned)recorded(gpu, "pcie_sent_kb_per_s", 200);
    return 0;
}
struct field { unsigned id, scope; long long at, latency; int type, code; u64 value; };
int nvmlDeviceGetFieldValues(struct gpu *gpu, int count, struct field *fields) {
    MAYBE_FAIL();
    for (int place = 0; place < count; place++) {
        const char *code = getenv("FIELD_CODE");
        fields[place].code = code ? atoi(code) : fields[place].scope == ~0u ? 0 : 2;
        fields[place].type = 3;
        fields[place].value = fields[place].id == 138 ? recorded(gpu, "nvlink_sent_kib", 5)
                                                      : recorded(gpu, "nvlink_received_kib", 6);
    }
    return 0;
}
struct process { unsigned pid; u64 bytes; unsigned gpu_instance, compute_instance; };
#ifdef OLD_DRIVER
int nvmlDeviceGetComputeRunningProcesses_v2(struct gpu *gpu, unsigned *count, struct process *out)
#else
int nvmlDeviceGetComputeRunningProcesses_v3(struct gpu *gpu, unsigned *count, struct process *out)
#endif
{
    MAYBE_FAIL();
    const char *at = getenv("PROCESSES");
    unsigned found = 0;
    if (gpu->index == 0 && gpu->mig <= 0)
        for (; at && *at; at = strchr(at, ',') ? strchr(at, ',') + 1 : 0, found++)
            if (out && found < *count) {
                const char *bytes = strchr(at, ':') + 1;
                out[found] = (struct process){0};
                out[found].pid = (unsigned)atoi(at);
                out[found].bytes = strncmp(bytes, "none", 4) ? strtoull(bytes, 0, 10) : ~0ull;
            }
    int fits = found <= *count && (out || found == 0);
    *count = found;
    return fits ? 0 : 7;
}
