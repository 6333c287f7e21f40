/* dlsym and dlvsym as the job sees them, aarch64; the reasons are in dlsym_route_x86_64.S. */
        .text
        .hidden mfu_decide_dlsym
        .hidden mfu_decide_dlvsym
        .hidden mfu_real_dlsym
        .hidden mfu_real_dlvsym

        .macro  mfu_dlsym symbol, decide, real, return_argument
        .globl  \symbol
        .type   \symbol, %function
        .balign 16
\symbol:
        .cfi_startproc
        hint    #34                             /* bti c */
        stp     x29, x30, [sp, #-48]!
        .cfi_def_cfa_offset 48
        .cfi_offset 29, -48
        .cfi_offset 30, -40
        stp     x0, x1, [sp, #16]
        str     x2, [sp, #32]
        mov     \return_argument, x30
        bl      \decide
        mov     x9, x0
        mov     x10, x1
        ldr     x2, [sp, #32]
        ldp     x0, x1, [sp, #16]
        ldp     x29, x30, [sp], #48
        .cfi_restore 29
        .cfi_restore 30
        .cfi_def_cfa_offset 0
        cbz     x10, 1f
        mov     x0, x9
        ret
1:      adrp    x16, \real
        ldr     x16, [x16, #:lo12:\real]
        br      x16
        .cfi_endproc
        .size   \symbol, .-\symbol
        .endm

        mfu_dlsym dlsym, mfu_decide_dlsym, mfu_real_dlsym, x2
        mfu_dlsym dlvsym, mfu_decide_dlvsym, mfu_real_dlvsym, x3
        .section .note.GNU-stack, "", %progbits
