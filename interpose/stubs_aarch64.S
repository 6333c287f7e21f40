/* The way into the hooks, aarch64; see stubs.h for the layout, hook.h for what happens there.
 *
 * A stub is a jump: x30 still holds the job's return address. x9 to x17 are free at a function's entry
 * (AAPCS64); x0 to x7 and the low halves of v0 to v7 carry arguments. No bti: a file that does not claim
 * to support branch target identification is never held to it. */
        .text
        .hidden mfu_enter
        .hidden mfu_leave
        .hidden mfu_thunk_codes

        .set    mfu_call_bytes, 192             /* hook.h: kHookedCallBytes */
        .set    mfu_frame, 16 + 16 + mfu_call_bytes + 64 + 64
        .set    mfu_words, mfu_frame - 64

/* Keeps the arguments, asks mfu_enter what to do, and calls the real function with a copy of them, or,
 * if nobody observes the call, becomes the real function. From the frame pointer up: saved x29 and x30,
 * the status, the HookedCall, d0 to d7 (words -8 to -1), x0 to x7 (words 0 to 7), and then what was on
 * the stack (word 8 and up). */
        .balign 16
        .type   mfu_hook, %function
mfu_hook:                                       /* w16 = entry * 8 + route */
        .cfi_startproc
        stp     x29, x30, [sp, #-mfu_frame]!
        .cfi_def_cfa_offset mfu_frame
        .cfi_offset x29, -mfu_frame
        .cfi_offset x30, -(mfu_frame - 8)
        mov     x29, sp
        .cfi_def_cfa_register x29
        stp     d0, d1, [x29, #mfu_words - 64]
        stp     d2, d3, [x29, #mfu_words - 48]
        stp     d4, d5, [x29, #mfu_words - 32]
        stp     d6, d7, [x29, #mfu_words - 16]
        stp     x0, x1, [x29, #mfu_words]
        stp     x2, x3, [x29, #mfu_words + 16]
        stp     x4, x5, [x29, #mfu_words + 32]
        stp     x6, x7, [x29, #mfu_words + 48]
        add     x0, x29, #mfu_words
        mov     w1, w16
        add     x2, x29, #32
        mov     x3, x30
        bl      mfu_enter                       /* x0 = real function, x1 = words to copy, or -1 */
        mov     x16, x0
        mov     x17, x1
        tbnz    x17, #63, 2f
        sub     sp, sp, x17, lsl #3             /* an even number: the stack stays aligned */
        cbz     x17, 2f
        add     x9, x29, #mfu_frame
1:      sub     x1, x1, #1
        ldr     x10, [x9, x1, lsl #3]
        str     x10, [sp, x1, lsl #3]
        cbnz    x1, 1b
2:      ldp     d0, d1, [x29, #mfu_words - 64]
        ldp     d2, d3, [x29, #mfu_words - 48]
        ldp     d4, d5, [x29, #mfu_words - 32]
        ldp     d6, d7, [x29, #mfu_words - 16]
        ldp     x0, x1, [x29, #mfu_words]
        ldp     x2, x3, [x29, #mfu_words + 16]
        ldp     x4, x5, [x29, #mfu_words + 32]
        ldp     x6, x7, [x29, #mfu_words + 48]
        tbnz    x17, #63, 3f
        blr     x16
        str     x0, [x29, #16]
        mov     w2, w0
        add     x0, x29, #32
        add     x1, x29, #mfu_words
        bl      mfu_leave
        ldr     x0, [x29, #16]
        mov     sp, x29
        .cfi_remember_state
        .cfi_def_cfa_register sp
        ldp     x29, x30, [sp], #mfu_frame
        .cfi_def_cfa_offset 0
        .cfi_restore x29
        .cfi_restore x30
        ret
        .cfi_restore_state
3:      mov     sp, x29
        .cfi_def_cfa_register sp
        ldp     x29, x30, [sp], #mfu_frame
        .cfi_def_cfa_offset 0
        .cfi_restore x29
        .cfi_restore x30
        br      x16
        .cfi_endproc
        .size   mfu_hook, .-mfu_hook

        .type   mfu_thunk, %function
mfu_thunk:                                      /* w16 = number of the thunk */
        .cfi_startproc
        adrp    x9, mfu_thunk_codes
        add     x9, x9, #:lo12:mfu_thunk_codes
        ldrh    w16, [x9, w16, uxtw #1]
        b       mfu_hook
        .cfi_endproc
        .size   mfu_thunk, .-mfu_thunk

        .macro  mfu_entry_stub symbol
        .globl  \symbol
        .type   \symbol, %function
\symbol:
        mov     w16, #(mfu_number * 8)
        b       mfu_hook
        .size   \symbol, .-\symbol
        .set    mfu_number, mfu_number + 1
        .endm

        .balign 16
        .globl  mfu_stubs_begin
        .hidden mfu_stubs_begin
mfu_stubs_begin:
        /* One description for all: no stub moves the stack, and one each would double the library. */
        .cfi_startproc
        .set    mfu_number, 0
#define MFU_ENTRY(symbol, ...) mfu_entry_stub symbol
#include "interpose/entry_points.def"
#undef MFU_ENTRY

        .balign 16
        .globl  mfu_thunks_begin
        .hidden mfu_thunks_begin
mfu_thunks_begin:
        .set    mfu_number, 0
        .rept   640                             /* stubs.h: kThunkCount */
        mov     w16, #mfu_number
        b       mfu_thunk
        .set    mfu_number, mfu_number + 1
        .endr
        .cfi_endproc
        .globl  mfu_stubs_end
        .hidden mfu_stubs_end
mfu_stubs_end:
        .section .note.GNU-stack, "", %progbits
