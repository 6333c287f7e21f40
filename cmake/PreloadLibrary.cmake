# What runs inside the user's job is built by other rules than the rest (STYLE in docs/ARCHITECTURE.md):
# mfu_preload_objects(NAME SRCS): sources in the poorer dialect, as a static library that unit tests
# link too. mfu_preload_library(NAME OUTPUT OBJECTS ARCHIVES): the shared library itself, linked by the
# C driver so that no C++ runtime can slip in.

set(MFU_PRELOAD_COMPILE_OPTIONS
  -fPIC -fvisibility=hidden -fno-sanitize=all
  # Thread-locals of a preloaded library lie in the static block: one load, no allocation.
  -ftls-model=initial-exec
  # The job's exceptions and cancellations must find their way through our frames.
  -fasynchronous-unwind-tables
  -ffunction-sections -fdata-sections -fno-lto)
set(MFU_PRELOAD_CXX_OPTIONS
  -fno-exceptions -fno-rtti -fno-threadsafe-statics -fvisibility-inlines-hidden -fno-gnu-unique
  -include ${CMAKE_SOURCE_DIR}/interpose/glibc_floor.h)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  # The out-of-line helpers bring a constructor and newer symbols with them.
  list(APPEND MFU_PRELOAD_CXX_OPTIONS -mno-outline-atomics)
endif()

function(mfu_preload_objects)
  cmake_parse_arguments(ARG "" "NAME" "SRCS;DEPS" ${ARGN})
  add_library(${ARG_NAME} STATIC ${ARG_SRCS})
  target_compile_features(${ARG_NAME} PUBLIC cxx_std_20)
  target_compile_options(${ARG_NAME} PRIVATE
    ${MFU_PRELOAD_COMPILE_OPTIONS}
    $<$<COMPILE_LANGUAGE:CXX>:${MFU_PRELOAD_CXX_OPTIONS};-Wall;-Wextra;-Wpedantic;-Wshadow;-Wconversion>
    $<$<BOOL:${MFUTRACE_WERROR}>:-Werror>
    -ffile-prefix-map=${CMAKE_SOURCE_DIR}/=)
  target_include_directories(${ARG_NAME} PUBLIC ${CMAKE_SOURCE_DIR})
  target_link_libraries(${ARG_NAME} PUBLIC ${ARG_DEPS})
endfunction()

function(mfu_preload_library)
  cmake_parse_arguments(ARG "" "NAME;OUTPUT;VERSION_SCRIPT" "OBJECTS;ARCHIVES" ${ARGN})
  set(objects)
  foreach(library ${ARG_OBJECTS})
    list(APPEND objects $<TARGET_OBJECTS:${library}>)
  endforeach()
  set(archives)
  foreach(library ${ARG_ARCHIVES})
    list(APPEND archives $<TARGET_FILE:${library}>)
  endforeach()
  add_library(${ARG_NAME} SHARED ${objects})
  # CMake adds what the C++ driver would have linked. Read when the folder is generated.
  set(CMAKE_CXX_IMPLICIT_LINK_LIBRARIES "" PARENT_SCOPE)
  # By file, not by target: usage requirements (sanitizers, C++ libraries) must not come along.
  target_link_libraries(${ARG_NAME} PRIVATE ${archives})
  if(ARG_ARCHIVES)
    add_dependencies(${ARG_NAME} ${ARG_ARCHIVES})
  endif()
  target_link_options(${ARG_NAME} PRIVATE
    -Wl,--version-script=${ARG_VERSION_SCRIPT} -Wl,-z,defs -Wl,-z,now -Wl,-z,relro -Wl,-z,nodelete
    -Wl,--gc-sections -Wl,--exclude-libs,ALL -Wl,--hash-style=gnu
    -Wl,--build-id -fno-sanitize=all -fno-lto)
  # Where the pinned versions of dlopen and pthread_create live before glibc 2.34 (glibc_floor.h).
  target_link_libraries(${ARG_NAME} PRIVATE
    -Wl,--push-state,--no-as-needed -l:libdl.so.2 -l:libpthread.so.0 -Wl,--pop-state)
  set_target_properties(${ARG_NAME} PROPERTIES
    OUTPUT_NAME ${ARG_OUTPUT} LINKER_LANGUAGE C LINK_DEPENDS ${ARG_VERSION_SCRIPT})
endfunction()
