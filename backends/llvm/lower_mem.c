// SPDX-License-Identifier: MIT
// Loads, stores, atomics, span tokens and fences.
//
// The hot path compares the address's page (and, by its low bits, alignment and page crossing) with the inline table's
// tag, adds the addend and accesses, as the x64 tier does. What fails leaves the region for the one-pass tier from a cold
// block that does not come back (or calls the runtime: see `wanders`, optimiser_request.stays_inside). Scalars are
// `unordered` atomics, never split or invented; their alignment is claimed as LLVM wants it, and not used on x86.
#include "backends/llvm/llvm.h"

static unsigned align_log2(uint32_t attr)
{
    return (attr & IR_MEM_ALIGN) >> IR_MEM_ALIGN_SHIFT;
}

struct region_entry region_tlb_entry(struct region *r, LLVMValueRef va, unsigned mmu)
{
    size_t at = offsetof(struct ir_env, mmu) + mmu * sizeof(struct ir_tlb_table);
    LLVMValueRef mask = region_env_load(r, r->i64, at + offsetof(struct ir_tlb_table, mask), 8);
    LLVMValueRef entries = region_env_load(r, r->ptr, at + offsetof(struct ir_tlb_table, entries), 8);
    LLVMValueRef index = LLVMBuildLShr(r->builder, va, region_k(r, r->i64, IR_PAGE_BITS - 5), "");
    index = LLVMBuildAnd(r->builder, index, mask, "");
    return (struct region_entry){ LLVMBuildInBoundsGEP2(r->builder, r->i8, entries, &index, 1, "") };
}
_Static_assert(sizeof(struct ir_tlb_entry) == 32, "the index is scaled for 32-byte entries");

static LLVMValueRef entry_word(struct region *r, const struct region_entry *entry, size_t offset)
{
    LLVMValueRef index = region_k(r, r->i64, offset);
    LLVMValueRef at = LLVMBuildInBoundsGEP2(r->builder, r->i8, entry->at, &index, 1, "");
    LLVMValueRef load = LLVMBuildLoad2(r->builder, r->i64, at, "");
    LLVMSetOrdering(load, LLVMAtomicOrderingUnordered);
    LLVMSetAlignment(load, 8);
    return region_tag(r, load, r->tbaa_table);
}

LLVMValueRef region_tlb_tag(struct region *r, const struct region_entry *entry, bool write)
{
    return entry_word(r, entry, write ? offsetof(struct ir_tlb_entry, write) : offsetof(struct ir_tlb_entry, read));
}

LLVMValueRef region_tlb_addend(struct region *r, const struct region_entry *entry)
{
    return entry_word(r, entry, offsetof(struct ir_tlb_entry, addend));
}

// An access being lowered: two ways to `done`.
struct access {
    const struct ir_insn *insn;
    LLVMValueRef va;
    LLVMBasicBlockRef cold, done;
    LLVMBasicBlockRef hot_end;   // where the hot way ends
};

static LLVMValueRef slot(struct region *r, LLVMValueRef at)
{
    return region_tag(r, LLVMBuildLoad2(r->builder, r->i64, at, ""), r->tbaa_local);
}

static void set_slot(struct region *r, LLVMValueRef at, LLVMValueRef value)
{
    region_tag(r, LLVMBuildStore(r->builder, value, at), r->tbaa_local);
}

// Its accesses have pages, not streams.
static bool in_chunk(const struct region *r)
{
    int loop = r->blocks[r->block].loop;
    return loop != REGION_NO_LOOP && r->loops[loop].chunk;
}

// To hot with the addend of the page that `want` names, or to cold: by the stream's page, else by the table, whose
// answer the stream keeps. Ends in hot. `want` has the page of the last byte if the access may cross pages. The table is
// asked by the first byte, so that what crosses meets another page's tag; a stream may be on the page of the last.
static LLVMValueRef look_up(struct region *r, struct access *a, LLVMValueRef want, bool may_cross, LLVMBasicBlockRef hot,
                            uint32_t attr, bool write)
{
    const struct region_stream *stream = r->stream_of[r->pos] && !in_chunk(r) ? &r->streams[r->stream_of[r->pos] - 1] : NULL;
    if (stream) {
        LLVMBasicBlockRef table = region_new_block(r, "table");
        LLVMValueRef tag = slot(r, stream->tag), same = LLVMBuildICmp(r->builder, LLVMIntEQ, want, tag, "");
        if (may_cross) {
            LLVMValueRef first = LLVMBuildAnd(r->builder, a->va, region_k(r, r->i64, (uint64_t)-(int64_t)IR_PAGE_SIZE), "");
            same = LLVMBuildAnd(r->builder, same, LLVMBuildICmp(r->builder, LLVMIntEQ, first, tag, ""), "");
        }
        region_branch(r, same, hot, table, r->likely);
        region_at(r, table);
    }
    struct region_entry entry = region_tlb_entry(r, a->va, ir_mem_mmu(attr));
    LLVMValueRef ok = LLVMBuildICmp(r->builder, LLVMIntEQ, want, region_tlb_tag(r, &entry, write), ""), addend = NULL;
    if (stream) {
        LLVMBasicBlockRef found = region_new_block(r, "found");
        region_branch(r, ok, found, a->cold, r->likely);
        region_at(r, found);
        set_slot(r, stream->tag, want);
        set_slot(r, stream->addend, region_tlb_addend(r, &entry));
        LLVMBuildBr(r->builder, hot);
        region_at(r, hot);
        addend = slot(r, stream->addend);
    } else {
        region_branch(r, ok, hot, a->cold, r->likely);
        region_at(r, hot);
        addend = region_tlb_addend(r, &entry);
    }
    return addend;
}

static void finish_hot(struct region *r, struct access *a)
{
    a->hot_end = LLVMGetInsertBlock(r->builder);
    LLVMBuildBr(r->builder, a->done);
}

// Branches to a->cold unless the access may be made at the host address returned, in the block that follows.
static LLVMValueRef guard(struct region *r, struct access *a, LLVMValueRef token, uint32_t attr, bool write)
{
    LLVMBuilderRef at = r->builder;
    unsigned size = attr & IR_MEM_SIZE, align = align_log2(attr);
    LLVMBasicBlockRef hot = region_new_block(r, "hot");
    LLVMValueRef addend = token;
    a->cold = region_new_block(r, "cold");
    a->done = region_new_block(r, "done");
    if (token) {
        LLVMValueRef ok = LLVMBuildICmp(at, LLVMIntNE, token, region_k(r, r->i64, 0), "");
        if (align) {
            LLVMValueRef low = LLVMBuildAnd(at, a->va, region_k(r, r->i64, (1u << align) - 1), "");
            ok = LLVMBuildAnd(at, ok, LLVMBuildICmp(at, LLVMIntEQ, low, region_k(r, r->i64, 0), ""), "");
        }
        region_branch(r, ok, hot, a->cold, r->likely);
        region_at(r, hot);
    } else {
        uint64_t last = align >= size ? 0 : (1u << size) - (1u << align);
        LLVMValueRef want = LLVMBuildAdd(at, a->va, region_k(r, r->i64, last), "");
        uint64_t mask = (uint64_t)-(int64_t)IR_PAGE_SIZE | ((1u << align) - 1);
        want = LLVMBuildAnd(at, want, region_k(r, r->i64, mask), "");
        addend = look_up(r, a, want, last != 0, hot, attr, write);
    }
    return LLVMBuildIntToPtr(at, LLVMBuildAdd(at, addend, a->va, ""), r->ptr, "");
}

// Both ways are the cold one: for forms that have no hot path.
static void no_guard(struct region *r, struct access *a)
{
    a->cold = region_new_block(r, "cold");
    a->done = region_new_block(r, "done");
    a->hot_end = NULL;
    LLVMBuildBr(r->builder, a->cold);
}

static LLVMValueRef slow_value(struct region *r)
{
    return region_env_at(r, offsetof(struct ir_env, slow_value));
}

// The cold way up to its value, which is NULL for stores; joins the two ways. hot: the value of the hot way, if any.
static LLVMValueRef join(struct region *r, struct access *a, enum region_stub stub, LLVMValueRef hot, enum ir_type type)
{
    LLVMValueRef args[5] = { r->env, a->va, region_k(r, r->i32, a->insn->attr),
                             region_k(r, r->i32, (uint64_t)r->insn_offset), region_k(r, r->i32, a->insn->sub) };
    region_leave_if(r, region_call_stub(r, stub, args, stub == REGION_RMW ? 5 : 4));
    LLVMValueRef cold = NULL;
    if (stub != REGION_STORE)
        cold = region_load_value(r, type, slow_value(r), r->tbaa_scratch);
    region_streams_forget(r);
    LLVMBasicBlockRef from = LLVMGetInsertBlock(r->builder);
    LLVMBuildBr(r->builder, a->done);
    region_at(r, a->done);
    if (!cold || !a->hot_end)
        return cold;
    return region_phi(r, region_type(r, type), hot, a->hot_end, cold, from);
}

// In a loop at an address that does not step: it may miss each turn, and leaving costs more than the runtime then.
static bool wanders(const struct region *r, const struct ir_insn *insn)
{
    int loop = r->blocks[r->block].loop;
    struct region_limits limits = { .count = 0 };
    struct region_reach reach;
    return loop != REGION_NO_LOOP && insn->op == IR_OP_ld && !region_reach(r, loop, insn->arg[0], &limits, &reach);
}

// The cold way of an access with a hot one, where it leaves the region; what follows is in a->done then.
static bool leaves(struct region *r, const struct access *a)
{
    if (r->request->stays_inside || !r->request->fallback || wanders(r, a->insn))
        return false;
    region_at(r, a->cold);
    region_restart(r);
    region_at(r, a->done);
    return true;
}

static LLVMValueRef swapped(struct region *r, LLVMValueRef value, uint32_t attr)
{
    if (!(attr & IR_MEM_BE) || (attr & IR_MEM_SIZE) == 0)
        return value;
    return region_intrinsic(r, "llvm.bswap", LLVMTypeOf(value), &value, 1);
}

static bool is_big_16(const struct ir_insn *insn)
{
    return (insn->attr & IR_MEM_BE) && (insn->attr & IR_MEM_SIZE) == 4;
}

// An integer of the access's size as a value of the op's type.
static LLVMValueRef extended(struct region *r, LLVMValueRef value, const struct ir_insn *insn)
{
    LLVMTypeRef type = region_type(r, (enum ir_type)insn->type);
    if (insn->type == IR_V128) {
        LLVMValueRef lane = LLVMBuildZExt(r->builder, value, r->i64, "");
        return LLVMBuildInsertElement(r->builder, LLVMConstNull(type), lane, region_k(r, r->i32, 0), "");
    }
    if (type == r->f32 || type == r->f64) {
        LLVMTypeRef bits = type == r->f32 ? r->i32 : r->i64;
        if (LLVMTypeOf(value) != bits)
            value = LLVMBuildZExtOrBitCast(r->builder, value, bits, "");
        return LLVMBuildBitCast(r->builder, value, type, "");
    }
    if (LLVMTypeOf(value) == type)
        return value;
    if (LLVMGetIntTypeWidth(LLVMTypeOf(value)) > LLVMGetIntTypeWidth(type))
        return LLVMBuildTrunc(r->builder, value, type, "");
    return insn->attr & IR_MEM_SIGNED ? LLVMBuildSExt(r->builder, value, type, "") : LLVMBuildZExt(r->builder, value, type, "");
}

// The low bytes of a value as an integer of the access's size.
static LLVMValueRef narrowed(struct region *r, LLVMValueRef value, unsigned size)
{
    LLVMTypeRef type = region_int(r, size);
    if (LLVMTypeOf(value) == r->v2i64) {
        value = size == 4 ? LLVMBuildBitCast(r->builder, value, r->i128, "")
                          : LLVMBuildExtractElement(r->builder, value, region_k(r, r->i32, 0), "");
    }
    value = region_bits(r, value);
    return LLVMTypeOf(value) == type ? value : LLVMBuildTruncOrBitCast(r->builder, value, type, "");
}

static LLVMAtomicOrdering ordering(uint32_t attr)
{
    return attr & (IR_MEM_ACQUIRE | IR_MEM_RELEASE) ? LLVMAtomicOrderingSequentiallyConsistent : LLVMAtomicOrderingUnordered;
}

static LLVMValueRef access_load(struct region *r, const struct ir_insn *insn, LLVMValueRef host)
{
    unsigned size = insn->attr & IR_MEM_SIZE;
    if (size == 4) {
        LLVMValueRef load = LLVMBuildLoad2(r->builder, r->v2i64, host, "");
        LLVMSetAlignment(load, 1);
        return region_tag(r, load, r->tbaa_guest);
    }
    LLVMValueRef load = LLVMBuildLoad2(r->builder, region_int(r, size), host, "");
    LLVMSetOrdering(load, ordering(insn->attr & IR_MEM_ACQUIRE));
    LLVMSetAlignment(load, 1u << size);
    region_tag(r, load, r->tbaa_guest);
    return extended(r, swapped(r, load, insn->attr), insn);
}

static void access_store(struct region *r, const struct ir_insn *insn, LLVMValueRef host, LLVMValueRef value)
{
    unsigned size = insn->attr & IR_MEM_SIZE;
    LLVMValueRef store;
    if (size == 4) {
        store = LLVMBuildStore(r->builder, value, host);
        LLVMSetAlignment(store, 1);
        region_tag(r, store, r->tbaa_guest);
        if (insn->attr & IR_MEM_RELEASE)
            LLVMBuildFence(r->builder, LLVMAtomicOrderingSequentiallyConsistent, false, "");
        return;
    }
    store = LLVMBuildStore(r->builder, swapped(r, narrowed(r, value, size), insn->attr), host);
    LLVMSetOrdering(store, ordering(insn->attr & IR_MEM_RELEASE));
    LLVMSetAlignment(store, 1u << size);
    region_tag(r, store, r->tbaa_guest);
}

static LLVMValueRef token_of(struct region *r, const struct ir_insn *insn, unsigned k)
{
    return insn->arg[k] == IR_NO_VALUE ? NULL : region_arg(r, insn, k);
}

static void lower_load(struct region *r, const struct ir_insn *insn)
{
    struct access a = { .insn = insn, .va = region_arg(r, insn, 0) };
    LLVMValueRef value = NULL;
    if (r->fast) {
        r->values[r->pos] = access_load(r, insn, region_chunk_host(r, a.va));
        return;
    }
    if (is_big_16(insn)) {
        no_guard(r, &a);
    } else {
        value = access_load(r, insn, guard(r, &a, token_of(r, insn, 1), insn->attr, false));
        finish_hot(r, &a);
        if (leaves(r, &a)) {
            r->values[r->pos] = value;
            return;
        }
    }
    region_at(r, a.cold);
    r->values[r->pos] = join(r, &a, REGION_LOAD, value, (enum ir_type)insn->type);
}

static void put_slow(struct region *r, const struct ir_insn *insn, unsigned k, size_t offset)
{
    region_store_value(r, region_arg_type(r, insn, k), region_arg(r, insn, k), region_env_at(r, offset), r->tbaa_scratch);
}

static void lower_store(struct region *r, const struct ir_insn *insn)
{
    struct access a = { .insn = insn, .va = region_arg(r, insn, 0) };
    if (r->fast) {
        access_store(r, insn, region_chunk_host(r, a.va), region_arg(r, insn, 1));
        return;
    }
    if (is_big_16(insn)) {
        no_guard(r, &a);
    } else {
        access_store(r, insn, guard(r, &a, token_of(r, insn, 2), insn->attr, true), region_arg(r, insn, 1));
        finish_hot(r, &a);
        if (leaves(r, &a))
            return;
    }
    region_at(r, a.cold);
    put_slow(r, insn, 1, offsetof(struct ir_env, slow_value));
    join(r, &a, REGION_STORE, NULL, IR_VOID);
}

// ---- atomics -----------------------------------------------------------------------------------------------------

static LLVMValueRef old_value(struct region *r, const struct ir_insn *insn, LLVMValueRef old)
{
    if (insn->type == IR_V128)
        return LLVMBuildBitCast(r->builder, old, r->v2i64, "");
    return extended(r, old, insn);
}

static void lower_cas(struct region *r, const struct ir_insn *insn)
{
    struct access a = { .insn = insn, .va = region_arg(r, insn, 0) };
    unsigned size = insn->attr & IR_MEM_SIZE;
    uint32_t attr = insn->attr;
    LLVMValueRef value = NULL;
    if (size == 4) // CMPXCHG16B wants alignment whatever the guest does
        attr = (attr & ~(uint32_t)IR_MEM_ALIGN) | 4u << IR_MEM_ALIGN_SHIFT;
    if (attr & IR_MEM_BE) {
        no_guard(r, &a);
    } else {
        LLVMValueRef host = guard(r, &a, NULL, attr, true);
        LLVMValueRef pair = LLVMBuildAtomicCmpXchg(r->builder, host, narrowed(r, region_arg(r, insn, 1), size),
                                                   narrowed(r, region_arg(r, insn, 2), size),
                                                   LLVMAtomicOrderingSequentiallyConsistent,
                                                   LLVMAtomicOrderingSequentiallyConsistent, false);
        LLVMSetAlignment(pair, 1u << size);
        value = old_value(r, insn, LLVMBuildExtractValue(r->builder, region_tag(r, pair, r->tbaa_guest), 0, ""));
        finish_hot(r, &a);
        if (leaves(r, &a)) {
            r->values[r->pos] = value;
            return;
        }
    }
    region_at(r, a.cold);
    put_slow(r, insn, 1, offsetof(struct ir_env, slow_value));
    put_slow(r, insn, 2, offsetof(struct ir_env, slow_operand));
    r->values[r->pos] = join(r, &a, REGION_CAS, value, (enum ir_type)insn->type);
}

static void lower_rmw(struct region *r, const struct ir_insn *insn)
{
    static const LLVMAtomicRMWBinOp ops[IR_RMW_COUNT] = {
        [IR_RMW_XCHG] = LLVMAtomicRMWBinOpXchg, [IR_RMW_ADD] = LLVMAtomicRMWBinOpAdd, [IR_RMW_AND] = LLVMAtomicRMWBinOpAnd,
        [IR_RMW_OR] = LLVMAtomicRMWBinOpOr, [IR_RMW_XOR] = LLVMAtomicRMWBinOpXor, [IR_RMW_SMAX] = LLVMAtomicRMWBinOpMax,
        [IR_RMW_SMIN] = LLVMAtomicRMWBinOpMin, [IR_RMW_UMAX] = LLVMAtomicRMWBinOpUMax, [IR_RMW_UMIN] = LLVMAtomicRMWBinOpUMin,
    };
    struct access a = { .insn = insn, .va = region_arg(r, insn, 0) };
    unsigned size = insn->attr & IR_MEM_SIZE;
    LLVMValueRef value = NULL;
    if ((insn->attr & IR_MEM_BE) || size == 4) {
        no_guard(r, &a);
    } else {
        LLVMValueRef host = guard(r, &a, NULL, insn->attr, true);
        LLVMValueRef old = LLVMBuildAtomicRMW(r->builder, ops[insn->sub], host, narrowed(r, region_arg(r, insn, 1), size),
                                              LLVMAtomicOrderingSequentiallyConsistent, false);
        LLVMSetAlignment(old, 1u << size);
        value = old_value(r, insn, region_tag(r, old, r->tbaa_guest));
        finish_hot(r, &a);
        if (leaves(r, &a)) {
            r->values[r->pos] = value;
            return;
        }
    }
    region_at(r, a.cold);
    put_slow(r, insn, 1, offsetof(struct ir_env, slow_value));
    r->values[r->pos] = join(r, &a, REGION_RMW, value, (enum ir_type)insn->type);
}

// ---- spans and fences ----------------------------------------------------------------------------------------------

static void lower_span(struct region *r, const struct ir_insn *insn)
{
    if (r->fast) // nothing asks
        return;
    LLVMBuilderRef at = r->builder;
    int32_t lo = (int32_t)(uint32_t)insn->imm, hi = (int32_t)(uint32_t)(insn->imm >> 32);
    LLVMValueRef va = region_arg(r, insn, 0), mask = region_k(r, r->i64, (uint64_t)-(int64_t)IR_PAGE_SIZE);
    LLVMValueRef first = LLVMBuildAdd(at, va, region_k(r, r->i64, (uint64_t)(int64_t)lo), "");
    LLVMValueRef last = LLVMBuildAdd(at, va, region_k(r, r->i64, (uint64_t)(int64_t)(hi - 1)), "");
    struct region_entry entry = region_tlb_entry(r, first, ir_mem_mmu(insn->attr));
    LLVMValueRef tag = region_tlb_tag(r, &entry, insn->sub & 1);
    LLVMValueRef off = LLVMBuildOr(at, LLVMBuildXor(at, LLVMBuildAnd(at, first, mask, ""), tag, ""),
                                   LLVMBuildXor(at, LLVMBuildAnd(at, last, mask, ""), tag, ""), "");
    LLVMValueRef ok = LLVMBuildICmp(at, LLVMIntEQ, off, region_k(r, r->i64, 0), "");
    LLVMValueRef addend = region_tlb_addend(r, &entry);
    r->values[r->pos] = LLVMBuildSelect(at, ok, addend, region_k(r, r->i64, 0), "");
}

bool region_lower_mem(struct region *r, const struct ir_insn *insn)
{
    static const LLVMAtomicOrdering fences[IR_FENCE_COUNT] = {
        [IR_FENCE_FULL] = LLVMAtomicOrderingSequentiallyConsistent, [IR_FENCE_LOAD] = LLVMAtomicOrderingAcquire,
        [IR_FENCE_STORE] = LLVMAtomicOrderingRelease,
    };
    switch (insn->op) {
    case IR_OP_ld: lower_load(r, insn); return true;
    case IR_OP_st: lower_store(r, insn); return true;
    case IR_OP_cas: lower_cas(r, insn); return true;
    case IR_OP_rmw: lower_rmw(r, insn); return true;
    case IR_OP_span: lower_span(r, insn); return true;
    case IR_OP_fence: LLVMBuildFence(r->builder, fences[insn->sub], false, ""); return true;
    default: return false;
    }
}
