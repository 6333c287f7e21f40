# mfu_embed_asset(TARGET NAME FILE): FILE becomes the text `assets::NAME` of report/render/assets.h,
# linked into TARGET. Nothing is fetched and nothing of a package is committed: the file is read where
# it is installed, when the program is built.
#
# Run as a script (-P) it writes the source; a string literal longer than 65,536 bytes is not promised
# to compile, so the text is an array of numbers.
if(CMAKE_SCRIPT_MODE_FILE)
  file(READ "${INPUT}" hex HEX)
  string(REGEX REPLACE "(................................................................)" "\\1\n" hex "${hex}")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
  file(WRITE "${OUTPUT}" "// Made from ${NAME} by cmake/EmbedAsset.cmake.\n"
    "#include \"report/render/assets.h\"\n"
    "namespace mfutrace::report::assets {\n"
    "namespace {\nconstexpr unsigned char kBytes[] = {\n${bytes}0};\n}\n"
    "std::string_view ${NAME}() {\n"
    "  return {reinterpret_cast<const char*>(kBytes), sizeof kBytes - 1};\n}\n"
    "}\n")
  return()
endif()

set(MFU_EMBED_SCRIPT "${CMAKE_CURRENT_LIST_FILE}")

function(mfu_embed_asset TARGET NAME FILE)
  set(output "${CMAKE_CURRENT_BINARY_DIR}/assets/${NAME}.cc")
  add_custom_command(OUTPUT "${output}"
    COMMAND ${CMAKE_COMMAND} -D "INPUT=${FILE}" -D "OUTPUT=${output}" -D "NAME=${NAME}"
      -P "${MFU_EMBED_SCRIPT}"
    DEPENDS "${FILE}" "${MFU_EMBED_SCRIPT}" VERBATIM)
  target_sources(${TARGET} PRIVATE "${output}")
endfunction()
