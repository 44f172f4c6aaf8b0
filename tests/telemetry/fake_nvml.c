/* A driver library for tests: what each call answers is read from the environment.
 *
 * FAIL_<function>=code makes a call fail. GPUS is the number of GPUs. POWER_MW and ENERGY_MJ are
 * sequences ("100,200"), one step a call and GPU, the last one repeated; GPU n adds n * 1000.
 * PROCESSES is "pid:bytes,pid:bytes" on GPU 0 (bytes "none": the driver does not say).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAYBE_FAIL()                                   \
    do {                                               \
        char name[128];                                \
        snprintf(name, sizeof name, "FAIL_%s", __func__); \
        const char *code = getenv(name);               \
        if (code) return atoi(code);                   \
    } while (0)

static struct gpu { int index, power_calls, energy_calls; } gpus[8];

static unsigned long long step(const char *variable, int call, int index) {
    const char *at = getenv(variable);
    if (!at) return 0;
    for (; call > 0 && strchr(at, ','); call--) at = strchr(at, ',') + 1;
    return strtoull(at, 0, 10) + 1000ull * index;
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
    *gpu = &gpus[index];
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
    rates[0] = 42 + gpu->index;
    rates[1] = 7;
    return 0;
}
int nvmlDeviceGetMemoryInfo(struct gpu *gpu, unsigned long long total_free_used[3]) {
    MAYBE_FAIL();
    total_free_used[0] = 1000;
    total_free_used[1] = 400;
    total_free_used[2] = 600 + gpu->index;
    return 0;
}
int nvmlDeviceGetPowerUsage(struct gpu *gpu, unsigned *milliwatts) {
    MAYBE_FAIL();
    *milliwatts = (unsigned)step("POWER_MW", gpu->power_calls++, gpu->index);
    return 0;
}
int nvmlDeviceGetTotalEnergyConsumption(struct gpu *gpu, unsigned long long *millijoules) {
    MAYBE_FAIL();
    *millijoules = step("ENERGY_MJ", gpu->energy_calls++, gpu->index);
    return 0;
}
int nvmlDeviceGetClockInfo(struct gpu *gpu, int type, unsigned *mhz) {
    MAYBE_FAIL();
    *mhz = (type == 1 ? 1500 : 2600) + gpu->index;
    return 0;
}
int nvmlDeviceGetTemperature(struct gpu *gpu, int sensor, unsigned *celsius) {
    MAYBE_FAIL();
    *celsius = 55 + gpu->index + sensor;
    return 0;
}
#ifdef OLD_DRIVER
int nvmlDeviceGetCurrentClocksThrottleReasons(struct gpu *gpu, unsigned long long *mask)
#else
int nvmlDeviceGetCurrentClocksEventReasons(struct gpu *gpu, unsigned long long *mask)
#endif
{
    MAYBE_FAIL();
    *mask = gpu->index ? 0 : 4;
    return 0;
}
struct process { unsigned pid; unsigned long long bytes; unsigned gpu_instance, compute_instance; };
int nvmlDeviceGetComputeRunningProcesses_v3(struct gpu *gpu, unsigned *count, struct process *out) {
    MAYBE_FAIL();
    const char *at = getenv("PROCESSES");
    unsigned found = 0;
    if (gpu->index == 0)
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
