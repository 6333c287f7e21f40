/* dlsym and dlvsym as the job sees them, x86-64.
 *
 * A name of ours is answered by MfuDecideDlsym; anything else is a jump to the C library with all
 * arguments and the job's return address as they were. A C wrapper would change what RTLD_NEXT means
 * and send such callers into themselves. */
        .text
        .hidden mfu_decide_dlsym
        .hidden mfu_decide_dlvsym
        .hidden mfu_real_dlsym
        .hidden mfu_real_dlvsym

        .globl  dlsym
        .type   dlsym, @function
        .balign 16
dlsym:
        .cfi_startproc
        endbr64
        pushq   %rdi
        .cfi_adjust_cfa_offset 8
        pushq   %rsi
        .cfi_adjust_cfa_offset 8
        subq    $8, %rsp
        .cfi_adjust_cfa_offset 8
        movq    24(%rsp), %rdx                  /* return address */
        call    mfu_decide_dlsym
        addq    $8, %rsp
        .cfi_adjust_cfa_offset -8
        popq    %rsi
        .cfi_adjust_cfa_offset -8
        popq    %rdi
        .cfi_adjust_cfa_offset -8
        testq   %rdx, %rdx
        jz      1f
        ret
1:      jmpq    *mfu_real_dlsym(%rip)
        .cfi_endproc
        .size   dlsym, .-dlsym

        .globl  dlvsym
        .type   dlvsym, @function
        .balign 16
dlvsym:
        .cfi_startproc
        endbr64
        pushq   %rdi
        .cfi_adjust_cfa_offset 8
        pushq   %rsi
        .cfi_adjust_cfa_offset 8
        pushq   %rdx
        .cfi_adjust_cfa_offset 8
        movq    24(%rsp), %rcx                  /* return address */
        call    mfu_decide_dlvsym
        movq    %rdx, %r11
        popq    %rdx
        .cfi_adjust_cfa_offset -8
        popq    %rsi
        .cfi_adjust_cfa_offset -8
        popq    %rdi
        .cfi_adjust_cfa_offset -8
        testq   %r11, %r11
        jz      1f
        ret
1:      jmpq    *mfu_real_dlvsym(%rip)
        .cfi_endproc
        .size   dlvsym, .-dlvsym
        .section .note.GNU-stack, "", @progbits
