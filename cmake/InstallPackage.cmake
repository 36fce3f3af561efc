# What `cmake --install` puts into a prefix: libraries, headers, the shipped models, and what find_package and
# pkg-config need. Nothing of it holds an absolute path: the prefix can be moved.
include(CMakePackageConfigHelpers)

set(_package "${CMAKE_INSTALL_LIBDIR}/cmake/digitvae")
set(_models "${CMAKE_INSTALL_DATADIR}/digitvae/mnist")

# The component keeps all this out of the Python wheel, which installs the component "python".
set(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME library)

install(TARGETS digitvae digitvae_static EXPORT digitvaeTargets)
install(DIRECTORY "${PROJECT_SOURCE_DIR}/cpp/include/digitvae" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
        FILES_MATCHING PATTERN "*.h" PATTERN "*.hpp")
foreach(model IN ITEMS decoder encoder prior)   # all that digitvae_embed_bundle takes
  install(FILES "${PROJECT_SOURCE_DIR}/export/mnist/${model}.onnx" DESTINATION "${_models}")
endforeach()
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DOCDIR}")
if(DIGITVAE_LINK_ORT AND DIGITVAE_ORT_COPY)
  install(PROGRAMS "${DIGITVAE_ORT_FILE}" DESTINATION "${CMAKE_INSTALL_LIBDIR}" RENAME "${DIGITVAE_ORT_SONAME}")
endif()

# ---- find_package(digitvae) ---------------------------------------------------------------------------------
configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/package/digitvaeConfig.cmake.in"
  "${PROJECT_BINARY_DIR}/package/digitvaeConfig.cmake"
  INSTALL_DESTINATION "${_package}" PATH_VARS _models CMAKE_INSTALL_LIBDIR)
write_basic_package_version_file("${PROJECT_BINARY_DIR}/package/digitvaeConfigVersion.cmake"
  COMPATIBILITY SameMajorVersion)
install(EXPORT digitvaeTargets NAMESPACE digitvae:: DESTINATION "${_package}")
install(FILES "${PROJECT_BINARY_DIR}/package/digitvaeConfig.cmake"
              "${PROJECT_BINARY_DIR}/package/digitvaeConfigVersion.cmake"
              "${PROJECT_SOURCE_DIR}/cmake/package/DigitvaeEmbedBundle.cmake"
        DESTINATION "${_package}")

# ---- pkg-config digitvae ------------------------------------------------------------------------------------
file(RELATIVE_PATH DIGITVAE_PC_PREFIX "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig" "${CMAKE_INSTALL_PREFIX}")
string(REGEX REPLACE "/$" "" DIGITVAE_PC_PREFIX "${DIGITVAE_PC_PREFIX}")
# Some distributions give absolute folders; only relative ones move with the prefix.
foreach(folder IN ITEMS "LIBDIR ${CMAKE_INSTALL_LIBDIR}" "INCLUDEDIR ${CMAKE_INSTALL_INCLUDEDIR}" "BUNDLEDIR ${_models}")
  string(REGEX MATCH "^([A-Z]+) (.*)$" _ "${folder}")
  set(DIGITVAE_PC_${CMAKE_MATCH_1} "${CMAKE_MATCH_2}")
  if(NOT IS_ABSOLUTE "${CMAKE_MATCH_2}")
    string(PREPEND DIGITVAE_PC_${CMAKE_MATCH_1} "\${prefix}/")
  endif()
endforeach()
set(DIGITVAE_PC_PRIVATE "-l${DIGITVAE_CXX_RUNTIME} -lm -pthread")
if(DIGITVAE_LINK_ORT)
  string(APPEND DIGITVAE_PC_PRIVATE " -l:${DIGITVAE_ORT_SONAME}")
else()
  string(APPEND DIGITVAE_PC_PRIVATE " -l${CMAKE_DL_LIBS}")
endif()
configure_file("${PROJECT_SOURCE_DIR}/cmake/package/digitvae.pc.in" "${PROJECT_BINARY_DIR}/package/digitvae.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/package/digitvae.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
