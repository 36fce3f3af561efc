#include "engine/second_form.hpp"

#include <cstdlib>
#include <cstring>

namespace digitvae {

bool may_be_second(Form form) {
  if (form != Form::kWhicheverPays) return form == Form::kSecond;
  const char* const dense = secure_getenv("DIGITVAE_DENSE");
  return dense == nullptr || *dense == '\0' || std::strcmp(dense, "0") == 0;
}

}  // namespace digitvae
