/* Exported entry points and dlsym thunks, x86-64; see stubs.h for the layout.
 *
 * Every stub is a jump: the job's return address stays on top of the stack, which is how the hook
 * knows its caller. r10 and r11 are free at a function's entry (System V ABI); nothing else changes. No
 * endbr64: a file that does not claim to support indirect branch tracking is never held to it. */
        .text
        .hidden mfu_hook_of_entry
        .hidden mfu_hook_targets
        .hidden mfu_stub_code

        .balign 16
        .type   mfu_stub_common, @function
mfu_stub_common:                                /* r11d = entry * 8 + route */
        .cfi_startproc
        movq    mfu_stub_code@gottpoff(%rip), %r10
        movl    %r11d, %fs:(%r10)
        shrl    $3, %r11d
        leaq    mfu_hook_of_entry(%rip), %r10
        movzbl  (%r10,%r11), %r11d
        leaq    mfu_hook_targets(%rip), %r10
        jmpq    *(%r10,%r11,8)
        .cfi_endproc
        .size   mfu_stub_common, .-mfu_stub_common

        .macro  mfu_route number
        movl    $(mfu_entry * 8 + \number), %r11d
        {disp32} jmp mfu_stub_common            /* 11 bytes, also for the nearest */
        .balign 4, 0xcc
        .endm

        .macro  mfu_entry_stubs symbol
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
        /* One description for all: no stub moves the stack, and one each would double the library. */
        .cfi_startproc
#define MFU_ENTRY(symbol, ...) mfu_entry_stubs symbol
#include "interpose/entry_points.def"
#undef MFU_ENTRY
        .cfi_endproc
        .globl  mfu_stubs_end
        .hidden mfu_stubs_end
mfu_stubs_end:
        .section .note.GNU-stack, "", @progbits
