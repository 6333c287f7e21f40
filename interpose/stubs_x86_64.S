/* Exported entry points and dlsym thunks, x86-64; see stubs.h for the layout.
 *
 * Every stub is a jump: the job's return address stays on top of the stack, which is how the hook
 * knows its caller. r10 and r11 are free at a function's entry (System V ABI); nothing else changes. */
        .text
        .hidden mfu_hook_targets
        .hidden mfu_stub_code

        .balign 16
        .type   mfu_stub_common, @function
mfu_stub_common:                                /* r11d = entry * 8 + route */
        .cfi_startproc
        endbr64
        movq    mfu_stub_code@gottpoff(%rip), %r10
        movl    %r11d, %fs:(%r10)
        shrl    $3, %r11d
        leaq    mfu_hook_targets(%rip), %r10
        jmpq    *(%r10,%r11,8)
        .cfi_endproc
        .size   mfu_stub_common, .-mfu_stub_common

        .macro  mfu_route number
        .balign 16
        .cfi_startproc
        endbr64
        movl    $(mfu_entry * 8 + \number), %r11d
        jmp     mfu_stub_common
        .cfi_endproc
        .endm

        .macro  mfu_entry_stubs symbol
        .balign 16
        .globl  \symbol
        .type   \symbol, @function
\symbol:
        mfu_route 0
        .size   \symbol, .-\symbol
        mfu_route 1
        mfu_route 2
        mfu_route 3
        mfu_route 4
        .set    mfu_entry, mfu_entry + 1
        .endm

        .set    mfu_entry, 0
        .balign 16
        .globl  mfu_stubs_begin
        .hidden mfu_stubs_begin
mfu_stubs_begin:
#define MFU_ENTRY(symbol, ...) mfu_entry_stubs symbol
#include "interpose/entry_points.def"
#undef MFU_ENTRY
        .balign 16
        .globl  mfu_stubs_end
        .hidden mfu_stubs_end
mfu_stubs_end:
        .section .note.GNU-stack, "", @progbits
