// SPDX-License-Identifier: MIT
// The module's vtable: the target machine, whose features are those the x64 tier would use, and the order of a
// compilation: IR to LLVM's, passes, code generation into an object, linking.
//
// AVX-512 stays off: LLVM's domain reassignment takes most of the time of code generation with it, and stubs keep
// sixteen vector registers.
#include "backends/llvm/llvm.h"
#include "backends/x64/features.h"
#include "base/error.h"
#include "base/log.h"

#include <llvm-c/Analysis.h>
#include <llvm-c/ErrorHandling.h>
#include <llvm-c/Support.h>
#include <llvm-c/Target.h>
#include <llvm-c/Transforms/PassBuilder.h>

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// Chosen by measuring (docs/performance.md): most of the time goes to code generation whatever comes before it.
static const char passes[] = "function(mem2reg,instcombine<no-verify-fixpoint;max-iterations=1>,early-cse<memssa>,"
                             "loop-mssa(licm),simplifycfg)";

struct feature_name {
    uint64_t has;
    const char *text;
};
static const struct feature_name feature_names[] = {
    { X64_HAS_SSE42, "+sse3,+ssse3,+sse4.1,+sse4.2,+crc32,+cx16,+prefer-movmsk-over-vtest" },
    { X64_HAS_AVX, ",+avx" }, { X64_HAS_AVX2, ",+avx2" }, { X64_HAS_BMI1, ",+bmi" }, { X64_HAS_BMI2, ",+bmi2" },
    { X64_HAS_LZCNT, ",+lzcnt" }, { X64_HAS_POPCNT, ",+popcnt" }, { X64_HAS_FMA, ",+fma" }, { X64_HAS_F16C, ",+f16c" },
    { X64_HAS_AES, ",+aes" }, { X64_HAS_PCLMUL, ",+pclmul" }, { X64_HAS_SHA, ",+sha" }, { X64_HAS_MOVBE, ",+movbe" },
    { X64_HAS_LAHF, ",+sahf" },
};

static int create_machine(struct optimiser *o, struct error *err)
{
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    LLVMInitializeX86AsmParser(); // of inline assembly
    char features[256] = "", *message = NULL;
    static const char triple[] = "x86_64-unknown-linux-gnu";
    for (unsigned i = 0; i < ARRAY_SIZE(feature_names); i++)
        if (o->has & feature_names[i].has)
            strcat(features, feature_names[i].text);
    LLVMTargetRef target;
    if (LLVMGetTargetFromTriple(triple, &target, &message)) {
        int r = error_set(err, -ENOTSUP, "LLVM has no x86-64: %s", message);
        LLVMDisposeMessage(message);
        return r;
    }
    char *name = LLVMGetHostCPUName();
    snprintf(o->tune, sizeof o->tune, "%s", name);
    LLVMDisposeMessage(name);
    o->machine = LLVMCreateTargetMachine(target, triple, "x86-64", features, LLVMCodeGenLevelDefault, LLVMRelocPIC,
                                         LLVMCodeModelSmall);
    return o->machine ? 0 : error_set(err, -ENOTSUP, "LLVM makes no machine for x86-64");
}

static void destroy(struct optimiser *o)
{
    if (!o || o->broken)
        return;
    region_jit_destroy(o);
    if (o->machine)
        LLVMDisposeTargetMachine(o->machine);
    if (o->pass_options)
        LLVMDisposePassBuilderOptions(o->pass_options);
    free(o->shared_names);
    free(o);
}

// ---- LLVM's fatal errors -------------------------------------------------------------------------------------------

// Where the thread that compiles goes on when LLVM gives up, NULL outside a compilation. LLVM would end the process; it is
// in no state to be used again, so nothing is given back and no further region made. What is compiled goes on running.
static _Thread_local jmp_buf *fatal_to;

static void on_fatal_error(const char *reason)
{
    fprintf(stderr, "isomer: LLVM gives up, no more regions: %s\n", reason);
    if (fatal_to)
        longjmp(*fatal_to, 1);
}

// A constant that is hoisted is opaque to the folds of code generation, of which some then undo each other for ever (exclusive ors
// with two constants of which one is the other's neighbour, LLVM 19.1). LLVM has one set of such switches a process, each to be set once.
static void set_switches(void)
{
    static const char *const switches[] = { "isomer", "-disable-constant-hoisting" };
    LLVMParseCommandLineOptions(ARRAY_SIZE(switches), switches, NULL);
}

static int create(const struct optimiser_config *config, struct optimiser **ret_optimiser, struct error *err)
{
    struct optimiser *o = calloc(1, sizeof *o);
    if (!o)
        return error_set(err, -ENOMEM, "no memory for the LLVM tier");
    o->config = *config;
    o->has = x64_features_detect(config->feature_mask);
    int r = o->has & X64_HAS_SSE42 ? create_machine(o, err) : error_set(err, -ENOTSUP, "the host lacks SSE4.2");
    if (!r)
        r = region_jit_create(o, err);
    if (r) {
        destroy(o);
        return r;
    }
    static pthread_once_t switched = PTHREAD_ONCE_INIT;
    pthread_once(&switched, set_switches);
    o->pass_options = LLVMCreatePassBuilderOptions();
    LLVMResetFatalErrorHandler();
    LLVMInstallFatalErrorHandler(on_fatal_error);
    *ret_optimiser = o;
    return 0;
}

static bool traced(const struct optimiser *o)
{
    return log_on(o->config.log, LOG_OUT_ASM);
}

static int refuse(struct optimiser *o, const char *what, char *message, int r)
{
    if (traced(o))
        log_printf(o->config.log, LOG_OUT_ASM, "LLVM: %s: %s\n", what, message);
    LLVMDisposeMessage(message);
    return r;
}

// ---- one compilation ---------------------------------------------------------------------------------------------

enum step { BUILD, OPTIMISE, GENERATE, LINK, STEPS };
struct times {
    uint64_t ns[STEPS];
};

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); // the machine may be busy
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void took(struct times *times, enum step step, uint64_t *since)
{
    uint64_t now = now_ns();
    times->ns[step] += now - *since;
    *since = now;
}

// The unit, the optimised module and its assembly.
static void trace(struct optimiser *o, struct region *r, LLVMModuleRef module)
{
    LLVMModuleRef copy = LLVMCloneModule(module);
    LLVMMemoryBufferRef assembly = NULL;
    char *text = LLVMPrintModuleToString(module), *message = NULL;
    log_begin(o->config.log);
    ir_print(r->unit, o->config.log->out);
    log_printf(o->config.log, LOG_OUT_ASM, "%s\n", text);
    LLVMDisposeMessage(text);
    if (!LLVMTargetMachineEmitToMemoryBuffer(o->machine, copy, LLVMAssemblyFile, &message, &assembly)) {
        log_printf(o->config.log, LOG_OUT_ASM, "%.*s\n", (int)LLVMGetBufferSize(assembly), LLVMGetBufferStart(assembly));
        LLVMDisposeMemoryBuffer(assembly);
    }
    log_end(o->config.log);
    LLVMDisposeMessage(message);
    LLVMDisposeModule(copy);
}

static int generate(struct optimiser *o, struct region *r, LLVMModuleRef module, struct times *times, uint64_t *since,
                    LLVMMemoryBufferRef *ret_object)
{
    char *message = NULL;
    if (LLVMVerifyModule(module, LLVMReturnStatusAction, &message)) { // generating code from it could end the process
        fprintf(stderr, "isomer: internal error in a region: %s\n", message);
        assert(!"LLVM's verifier refuses the module");
        LLVMDisposeMessage(message);
        return -ENOTSUP;
    }
    LLVMDisposeMessage(message);
    took(times, BUILD, since);
    LLVMErrorRef e = LLVMRunPasses(module, passes, o->machine, o->pass_options);
    took(times, OPTIMISE, since);
    if (e)
        return refuse(o, "passes", LLVMGetErrorMessage(e), -ENOTSUP);
    if (traced(o))
        trace(o, r, module);
    *since = now_ns();
    if (LLVMTargetMachineEmitToMemoryBuffer(o->machine, module, LLVMObjectFile, &message, ret_object))
        return refuse(o, "code generation", message, -ENOTSUP);
    took(times, GENERATE, since);
    if (r->diagnosed) {
        LLVMDisposeMemoryBuffer(*ret_object);
        return -ENOTSUP;
    }
    return 0;
}

// Compiles the functions that the region is the first to want.
static int share(struct optimiser *o, struct region *r, struct times *times, uint64_t *since)
{
    struct optimiser_region made;
    LLVMMemoryBufferRef object = NULL;
    int result = r->shared ? generate(o, r, r->shared, times, since, &object) : 0;
    if (!result && object)
        result = region_link(o, object, region_shared_first(r), &made);
    return result || !object ? result : region_shared_keep(r, made.handle);
}

static int compile_region(struct optimiser *o, const struct optimiser_request *request, struct optimiser_region *ret_region)
{
    struct region r = { .optimiser = o, .request = request, .unit = request->unit, .layout = o->config.guest->layout,
                        .exits = request->exits };
    LLVMMemoryBufferRef object = NULL;
    struct times times = { { 0 } };
    uint64_t since = now_ns();
    char symbol[32];
    snprintf(symbol, sizeof symbol, "region%u", o->next_region++);
    int result = region_build(&r, symbol);
    took(&times, BUILD, &since);
    if (!result)
        result = share(o, &r, &times, &since);
    if (!result)
        result = generate(o, &r, r.module, &times, &since, &object);
    uint32_t exits = r.exit_count;
    if (r.evaluated && traced(o))
        log_printf(o->config.log, LOG_OUT_ASM, "%s: %s has no form for it here\n", request->name, ir_ops[r.evaluated->op].name);
    region_free(&r);
    if (result)
        return result;
    *ret_region = (struct optimiser_region){ .exit_count = exits };
    result = region_link(o, object, symbol, ret_region);
    took(&times, LINK, &since);
    if (traced(o))
        log_printf(o->config.log, LOG_OUT_ASM, "%s: %u IR ops, %u blocks, %zu bytes, build %llu passes %llu code %llu link %llu us\n",
                   request->name, request->unit->insn_count, request->unit->block_count, ret_region->code_size,
                   (unsigned long long)times.ns[BUILD] / 1000, (unsigned long long)times.ns[OPTIMISE] / 1000,
                   (unsigned long long)times.ns[GENERATE] / 1000, (unsigned long long)times.ns[LINK] / 1000);
    return result;
}

static int compile(struct optimiser *o, const struct optimiser_request *request, struct optimiser_region *ret_region)
{
    jmp_buf here;
    if (o->broken)
        return -ENOTSUP;
    if (setjmp(here)) {
        fatal_to = NULL;
        o->broken = true;
        return -ENOTSUP;
    }
    fatal_to = &here;
    int result = compile_region(o, request, ret_region);
    fatal_to = NULL;
    return result;
}

static void release(struct optimiser *o, void *handle)
{
    if (!o->broken)
        region_release(o, handle);
}

static const struct optimiser_ops ops = {
    .name = "llvm", .create = create, .destroy = destroy, .compile = compile, .release = release,
};

optimiser_entry isomer_optimiser __attribute__((visibility("default")));
const struct optimiser_ops *isomer_optimiser(void)
{
    return &ops;
}
