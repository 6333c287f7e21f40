/* Exported entry points and dlsym thunks, aarch64; see stubs.h for the layout.
 *
 * Every stub is a jump: x30 still holds the job's return address. x9 to x11, x16 and x17 are free at a
 * function's entry (AAPCS64); x0 to x8 and the vector registers carry arguments and stay. */
        .text
        .hidden mfu_hook_of_entry
        .hidden mfu_hook_targets
        .hidden mfu_stub_code

        .balign 16
        .type   mfu_stub_common, %function
mfu_stub_common:                                /* w16 = entry * 8 + route */
        .cfi_startproc
        mrs     x9, tpidr_el0
        adrp    x10, :gottprel:mfu_stub_code
        ldr     x10, [x10, #:gottprel_lo12:mfu_stub_code]
        str     w16, [x9, x10]
        lsr     w16, w16, #3
        adrp    x10, mfu_hook_of_entry
        add     x10, x10, #:lo12:mfu_hook_of_entry
        ldrb    w16, [x10, x16]
        adrp    x10, mfu_hook_targets
        add     x10, x10, #:lo12:mfu_hook_targets
        ldr     x16, [x10, x16, lsl #3]
        br      x16
        .cfi_endproc
        .size   mfu_stub_common, .-mfu_stub_common

        .macro  mfu_route number
        hint    #34                             /* bti c; a no-op where there is none */
        mov     w16, #(mfu_entry * 8 + \number)
        b       mfu_stub_common
        .endm

        .macro  mfu_entry_stubs symbol
        .globl  \symbol
        .type   \symbol, %function
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
        .section .note.GNU-stack, "", %progbits
