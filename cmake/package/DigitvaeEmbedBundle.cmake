# digitvae_embed_bundle(<target> <bundle folder> [NAME digitvae_bundle] [MODELS decoder])
#
# Compiles models of a bundle into a program or library, so that there is no file to ship or to find. MODELS are any
# of decoder, encoder, prior. The target can then #include "<NAME>.h", which declares for each model
#
#   extern const unsigned char <NAME>_decoder[];     and     extern const size_t <NAME>_decoder_size;
#
# for dvae_decoder_open_memory and its like. Works in projects of C, of C++ and of both (GCC, Clang). A model that
# changes is compiled in again.
function(digitvae_embed_bundle target folder)
  cmake_parse_arguments(PARSE_ARGV 2 ARG "" "NAME" "MODELS")
  if(ARG_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "digitvae_embed_bundle: unknown arguments: ${ARG_UNPARSED_ARGUMENTS}")
  endif()
  set(name "${ARG_NAME}")
  if(NOT DEFINED ARG_NAME)
    set(name digitvae_bundle)
  endif()
  if(NOT name MATCHES "^[A-Za-z_][A-Za-z0-9_]*$")
    message(FATAL_ERROR "digitvae_embed_bundle: NAME ${name} is not an identifier of C")
  endif()
  get_target_property(embedded ${target} DIGITVAE_EMBEDDED)
  if("${name}" IN_LIST embedded)
    message(FATAL_ERROR "digitvae_embed_bundle: ${target} has a ${name} already: list all MODELS in one call, or give "
                        "this one another NAME")
  endif()
  set_property(TARGET ${target} APPEND PROPERTY DIGITVAE_EMBEDDED ${name})
  if(NOT ARG_MODELS)
    set(ARG_MODELS decoder)
  endif()
  get_filename_component(folder "${folder}" ABSOLUTE)

  set(declarations "")
  set(definitions "")
  set(files "")
  foreach(model IN LISTS ARG_MODELS)
    if(NOT model MATCHES "^(decoder|encoder|prior)$")
      message(FATAL_ERROR "digitvae_embed_bundle: ${model} is no model, expected decoder, encoder or prior")
    endif()
    set(file "${folder}/${model}.onnx")
    if(NOT EXISTS "${file}")
      message(FATAL_ERROR "digitvae_embed_bundle: there is no ${file}: is ${folder} the folder of a bundle?")
    endif()
    list(APPEND files "${file}")
    set(symbol "${name}_${model}")
    string(APPEND declarations
      "extern const unsigned char ${symbol}[];\nextern const size_t ${symbol}_size;\n")
    # A string of the assembler within a string of C: both want \ and " escaped.
    string(REPLACE [[\]] [[\\\\]] quoted "${file}")
    string(REPLACE [["]] [[\\\"]] quoted "${quoted}")
    string(APPEND definitions "DIGITVAE_EMBED(\"${symbol}\", \"${quoted}\")\n")
  endforeach()

  get_property(languages GLOBAL PROPERTY ENABLED_LANGUAGES)
  set(suffix cpp)
  if("C" IN_LIST languages)
    set(suffix c)
  endif()
  set(generated "${CMAKE_CURRENT_BINARY_DIR}/${target}_${name}")
  string(TOUPPER "${name}" guard)
  file(CONFIGURE OUTPUT "${generated}/${name}.h" @ONLY CONTENT [[
/* Made by digitvae_embed_bundle. */
#ifndef @guard@_H
#define @guard@_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

@declarations@
#ifdef __cplusplus
}
#endif

#endif
]])
  file(CONFIGURE OUTPUT "${generated}/${name}.${suffix}" @ONLY CONTENT [[
/* Made by digitvae_embed_bundle. The assembler includes the files: an array of numbers would take long to compile.
 * Hidden: each program or library has its own. */
#define DIGITVAE_EMBED(symbol, file)                                                         \
  __asm__(".pushsection .rodata\n"                                                           \
          ".balign 64\n"                                                                     \
          ".global " symbol "\n.hidden " symbol "\n.type " symbol ", %object\n"              \
          symbol ":\n.incbin \"" file "\"\n"                                                 \
          symbol "_end:\n.size " symbol ", " symbol "_end - " symbol "\n"                    \
          ".balign 8\n"                                                                      \
          ".global " symbol "_size\n.hidden " symbol "_size\n.type " symbol "_size, %object\n" \
          symbol "_size:\n.quad " symbol "_end - " symbol "\n.size " symbol "_size, 8\n"     \
          ".popsection\n");

@definitions@]])

  target_sources(${target} PRIVATE "${generated}/${name}.${suffix}")
  target_include_directories(${target} PRIVATE "${generated}")
  # No -flto and no -Wpedantic: an optimiser that moves definitions between files does not see those in assembler,
  # and a file without a declaration is none of ISO C.
  set_source_files_properties("${generated}/${name}.${suffix}" TARGET_DIRECTORY ${target} PROPERTIES
    OBJECT_DEPENDS "${files}" COMPILE_OPTIONS "-fno-lto;-Wno-pedantic")
endfunction()
