# Writes the commit of SOURCE into the header OUT as MFU_COMMIT: " (0123456789ab)", or "" without git.
execute_process(COMMAND git -C ${SOURCE} describe --always --dirty --abbrev=12 --exclude=*
  OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
set(text "#define MFU_COMMIT \"\"\n")
if(failed EQUAL 0)
  set(text "#define MFU_COMMIT \" (${commit})\"\n")
endif()
if(EXISTS ${OUT})
  file(READ ${OUT} before)
endif()
if(NOT "${before}" STREQUAL "${text}")
  file(WRITE ${OUT} "${text}")
endif()
