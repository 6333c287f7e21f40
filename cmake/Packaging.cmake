# What `cmake --install` and `cpack` lay out besides the program and the library: documents, man pages
# and completion (written by the program itself), and the demo with its simulated node.

install(FILES README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs DESTINATION ${CMAKE_INSTALL_DOCDIR} FILES_MATCHING PATTERN "*.md")

# A cross-built program writes its pages where an emulator is set, else there are none.
if(MFUTRACE_BUILD_TOOLS AND (NOT CMAKE_CROSSCOMPILING OR CMAKE_CROSSCOMPILING_EMULATOR))
  install(CODE "
    set(tool ${CMAKE_CROSSCOMPILING_EMULATOR} ${CMAKE_BINARY_DIR}/cli/mfutrace)
    set(pages ${CMAKE_BINARY_DIR}/pages)
    set(man \${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_MANDIR}/man1)
    set(data \${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_DATADIR})")
  install(CODE [[
    file(MAKE_DIRECTORY ${pages})
    execute_process(COMMAND ${tool} OUTPUT_VARIABLE help COMMAND_ERROR_IS_FATAL ANY)
    string(REGEX MATCHALL "\n  mfutrace [a-z]+ " lines "${help}")
    execute_process(COMMAND ${tool} man OUTPUT_FILE ${pages}/mfutrace.1 COMMAND_ERROR_IS_FATAL ANY)
    set(files ${pages}/mfutrace.1)
    foreach(line ${lines})
      string(REGEX REPLACE "\n  mfutrace ([a-z]+) " "\\1" verb "${line}")
      execute_process(COMMAND ${tool} man ${verb} OUTPUT_FILE ${pages}/mfutrace-${verb}.1
        COMMAND_ERROR_IS_FATAL ANY)
      list(APPEND files ${pages}/mfutrace-${verb}.1)
    endforeach()
    file(INSTALL DESTINATION ${man} TYPE FILE FILES ${files})
    execute_process(COMMAND ${tool} completion bash OUTPUT_FILE ${pages}/mfutrace
      COMMAND_ERROR_IS_FATAL ANY)
    execute_process(COMMAND ${tool} completion zsh OUTPUT_FILE ${pages}/_mfutrace
      COMMAND_ERROR_IS_FATAL ANY)
    file(INSTALL DESTINATION ${data}/bash-completion/completions TYPE FILE FILES ${pages}/mfutrace)
    file(INSTALL DESTINATION ${data}/zsh/site-functions TYPE FILE FILES ${pages}/_mfutrace)]])
endif()

# The demo: a training job on a simulated node. Its libraries have the vendors' names and lie where no
# loader looks unless the demo's script says so.
if(MFUTRACE_BUILD_SIMGPU AND NOT CMAKE_CROSSCOMPILING)
  install(DIRECTORY ${CMAKE_BINARY_DIR}/tests/simgpu/lib
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/mfutrace/demo USE_SOURCE_PERMISSIONS)
  install(PROGRAMS ${CMAKE_BINARY_DIR}/tests/jobs/job_gpt_train tests/jobs/launch.py
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/mfutrace/demo)
  configure_file(cmake/mfutrace-demo.in ${CMAKE_BINARY_DIR}/mfutrace-demo @ONLY)
  install(PROGRAMS ${CMAKE_BINARY_DIR}/mfutrace-demo DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()

set(CPACK_GENERATOR TGZ DEB)
set(CPACK_PACKAGE_NAME mfutrace)
set(CPACK_PACKAGE_VENDOR mfutrace)
set(CPACK_PACKAGE_CONTACT "mfutrace")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "Where the peak of a GPU went: exact FLOPs and times of CUDA jobs")
set(CPACK_PACKAGE_FILE_NAME "mfutrace-${PROJECT_VERSION}-linux-${CMAKE_SYSTEM_PROCESSOR}")
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
# The program is static and the library asks for symbols of glibc 2.17 at most.
set(CPACK_DEBIAN_PACKAGE_DEPENDS "libc6 (>= 2.17)")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "python3, libstdc++6")
set(CPACK_DEBIAN_PACKAGE_SECTION devel)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  set(CPACK_DEBIAN_PACKAGE_ARCHITECTURE arm64)
endif()
include(CPack)
