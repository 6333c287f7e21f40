/* The way into the hooks, x86-64; see stubs.h for the layout, hook.h for what happens there.
 *
 * A stub is a jump, so the job's return address stays on top of the stack. rax, r10 and r11 are free at
 * the entry of a function without variable arguments (System V ABI). No endbr64: a file that does not
 * claim to support indirect branch tracking is never held to it. */
        .text
        .hidden mfu_enter
        .hidden mfu_leave
        .hidden mfu_thunk_codes

        .set    mfu_call_bytes, 192             /* hook.h: kHookedCallBytes */

/* Keeps the arguments, asks mfu_enter what to do, and calls the real function with a copy of them, or,
 * if nobody observes the call, becomes the real function. Below the frame pointer: the six registers of
 * integers (words 0 to 5, so that saved rbp and return address are words 6 and 7 and the arguments on
 * the stack begin at word 8), the low halves of the eight vector registers (words -8 to -1), the
 * HookedCall, the status. */
        .balign 16
        .type   mfu_hook, @function
mfu_hook:                                       /* r11d = entry * 8 + route */
        .cfi_startproc
        pushq   %rbp
        .cfi_def_cfa_offset 16
        .cfi_offset %rbp, -16
        movq    %rsp, %rbp
        .cfi_def_cfa_register %rbp
        subq    $(48 + 64 + mfu_call_bytes + 16), %rsp
        movq    %rdi, -48(%rbp)
        movq    %rsi, -40(%rbp)
        movq    %rdx, -32(%rbp)
        movq    %rcx, -24(%rbp)
        movq    %r8, -16(%rbp)
        movq    %r9, -8(%rbp)
        movsd   %xmm0, -112(%rbp)
        movsd   %xmm1, -104(%rbp)
        movsd   %xmm2, -96(%rbp)
        movsd   %xmm3, -88(%rbp)
        movsd   %xmm4, -80(%rbp)
        movsd   %xmm5, -72(%rbp)
        movsd   %xmm6, -64(%rbp)
        movsd   %xmm7, -56(%rbp)
        leaq    -48(%rbp), %rdi
        movl    %r11d, %esi
        leaq    16(%rsp), %rdx
        movq    8(%rbp), %rcx
        call    mfu_enter                       /* rax = real function, rdx = words to copy, or -1 */
        movsd   -112(%rbp), %xmm0
        movsd   -104(%rbp), %xmm1
        movsd   -96(%rbp), %xmm2
        movsd   -88(%rbp), %xmm3
        movsd   -80(%rbp), %xmm4
        movsd   -72(%rbp), %xmm5
        movsd   -64(%rbp), %xmm6
        movsd   -56(%rbp), %xmm7
        testq   %rdx, %rdx
        js      3f
        jz      2f
1:      pushq   8(%rbp,%rdx,8)                  /* an even number, last first: the stack stays aligned */
        decq    %rdx
        jnz     1b
2:      movq    -48(%rbp), %rdi
        movq    -40(%rbp), %rsi
        movq    -32(%rbp), %rdx
        movq    -24(%rbp), %rcx
        movq    -16(%rbp), %r8
        movq    -8(%rbp), %r9
        call    *%rax
        movq    %rax, -(48 + 64 + mfu_call_bytes + 16)(%rbp)
        leaq    -(48 + 64 + mfu_call_bytes)(%rbp), %rdi
        leaq    -48(%rbp), %rsi
        movl    %eax, %edx
        call    mfu_leave
        movq    -(48 + 64 + mfu_call_bytes + 16)(%rbp), %rax
        .cfi_remember_state
        leave
        .cfi_def_cfa %rsp, 8
        ret
        .cfi_restore_state
3:      movq    -48(%rbp), %rdi
        movq    -40(%rbp), %rsi
        movq    -32(%rbp), %rdx
        movq    -24(%rbp), %rcx
        movq    -16(%rbp), %r8
        movq    -8(%rbp), %r9
        leave
        .cfi_def_cfa %rsp, 8
        jmpq    *%rax
        .cfi_endproc
        .size   mfu_hook, .-mfu_hook

        .type   mfu_thunk, @function
mfu_thunk:                                      /* r11d = number of the thunk */
        .cfi_startproc
        leaq    mfu_thunk_codes(%rip), %rax
        movzwl  (%rax,%r11,2), %r11d
        jmp     mfu_hook
        .cfi_endproc
        .size   mfu_thunk, .-mfu_thunk

/* Sixteen stubs of 4 bytes, which tell themselves apart by al, and 16 bytes that they share. */
        .macro  mfu_stub
        movb    $(mfu_number % 16), %al
        jmp     7f
        .set    mfu_number, mfu_number + 1
        .endm

        .macro  mfu_exports_tail
7:      movzbl  %al, %eax
        leal    (mfu_number - 1 - (mfu_number - 1) % 16) * 8(,%rax,8), %r11d
        jmp     mfu_hook
        .balign 16, 0xcc
        .endm

        .macro  mfu_entry_stub symbol
        .globl  \symbol
        .type   \symbol, @function
\symbol:
        mfu_stub
        .size   \symbol, .-\symbol
        .if     mfu_number % 16 == 0
        mfu_exports_tail
        .endif
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
        .if     mfu_number % 16 != 0
        mfu_exports_tail
        .endif

        .balign 16
        .globl  mfu_thunks_begin
        .hidden mfu_thunks_begin
mfu_thunks_begin:
        .set    mfu_number, 0
        .rept   40                              /* stubs.h: kThunkCount / 16 */
        .rept   16
        mfu_stub
        .endr
7:      movzbl  %al, %eax
        leal    (mfu_number - 16)(%rax), %r11d
        jmp     mfu_thunk
        .balign 16, 0xcc
        .endr
        .cfi_endproc
        .globl  mfu_stubs_end
        .hidden mfu_stubs_end
mfu_stubs_end:
        .section .note.GNU-stack, "", @progbits
