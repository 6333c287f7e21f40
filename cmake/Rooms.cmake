# mfu_library(NAME SRCS DEPS): one static library of a room. DEPS is the include rule in executable
# form: what is not listed cannot be linked, and scripts/check_includes.py keeps headers to the same.
# mfu_test(NAME SRCS DEPS): one GoogleTest binary that links rooms and never recompiles their sources.

set(MFUTRACE_SANITIZE "" CACHE STRING "value for -fsanitize= on everything but the preloaded library")

add_library(mfu_flags INTERFACE)
target_compile_features(mfu_flags INTERFACE cxx_std_20)
target_compile_options(mfu_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion
  $<$<BOOL:${MFUTRACE_WERROR}>:-Werror>
  -ffile-prefix-map=${CMAKE_SOURCE_DIR}/=)
target_include_directories(mfu_flags INTERFACE ${CMAKE_SOURCE_DIR})
if(MFUTRACE_SANITIZE)
  # What is linked into the preloaded library must not need a sanitizer's runtime.
  target_compile_options(mfu_flags INTERFACE
    "$<$<NOT:$<BOOL:$<TARGET_PROPERTY:MFU_RUNS_IN_JOB>>>:SHELL:-fsanitize=${MFUTRACE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all>")
  target_link_options(mfu_flags INTERFACE -fsanitize=${MFUTRACE_SANITIZE})
endif()

function(mfu_library)
  cmake_parse_arguments(ARG "" "NAME" "SRCS;DEPS" ${ARGN})
  add_library(${ARG_NAME} STATIC ${ARG_SRCS})
  target_link_libraries(${ARG_NAME} PUBLIC ${ARG_DEPS} PRIVATE mfu_flags)
  target_include_directories(${ARG_NAME} PUBLIC ${CMAKE_SOURCE_DIR})
  target_compile_features(${ARG_NAME} PUBLIC cxx_std_20)
endfunction()

# Third-party headers are system headers: their warnings are not ours.
function(mfu_test)
  cmake_parse_arguments(ARG "" "NAME" "SRCS;DEPS;LABELS" ${ARGN})
  if(NOT MFUTRACE_BUILD_TESTS)
    return()
  endif()
  find_package(GTest REQUIRED)
  include(GoogleTest)
  add_executable(${ARG_NAME} ${ARG_SRCS})
  target_link_libraries(${ARG_NAME} PRIVATE ${ARG_DEPS} GTest::gtest GTest::gtest_main mfu_flags)
  target_compile_definitions(${ARG_NAME} PRIVATE
    MFU_SOURCE_DIR="${CMAKE_SOURCE_DIR}" MFU_SHARED_DIR="${MFUTRACE_SHARED_DIR}")
  if(NOT ARG_LABELS)
    set(ARG_LABELS unit)  # an empty list item would vanish from PROPERTIES
  endif()
  gtest_discover_tests(${ARG_NAME} DISCOVERY_TIMEOUT 60
    PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT 300)
endfunction()

# Reference vectors and real traces that are not part of the project; tests that need them say so
# and are skipped where they are missing.
set(MFUTRACE_SHARED_DIR "${CMAKE_SOURCE_DIR}/../shared" CACHE PATH
    "folder with reference vectors and real traces (optional)")
