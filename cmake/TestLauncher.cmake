# Sets DIGITVAE_TEST_LAUNCHER: what the C++ tests are run by, nothing or valgrind.
set(DIGITVAE_TEST_LAUNCHER "")
if(DIGITVAE_VALGRIND)
  find_program(DIGITVAE_VALGRIND_PROGRAM valgrind REQUIRED)
  # Leaks: memory that nothing points to. ONNX Runtime keeps some of its own to the end of the process.
  set(DIGITVAE_TEST_LAUNCHER "${DIGITVAE_VALGRIND_PROGRAM}" --quiet --error-exitcode=9 --leak-check=full
    --show-leak-kinds=definite --errors-for-leak-kinds=definite
    "--suppressions=${PROJECT_SOURCE_DIR}/cpp/tests/valgrind.supp")
endif()
